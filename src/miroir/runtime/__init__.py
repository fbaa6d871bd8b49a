"""
Joins services and adapters into a running Miroir: the only package that knows both.

    assembly.py  configuration + outside world -> every service, made but not started
    facts.py     the topology of today against the one that the data was written under
    serving.py   the real outside world; start, listen, stop
"""

from miroir.runtime.assembly import Services, make_services
from miroir.runtime.outside import Outside
from miroir.runtime.serving import make_app, serve

__all__ = ["Outside", "Services", "make_app", "make_services", "serve"]

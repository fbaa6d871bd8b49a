"""
Joins services and adapters into a running Miroir: the only package that knows both.

    assembly.py  configuration + outside world -> every service, made but not started
    facts.py     the topology of today against the one that the data was written under
    serving.py   the main process: the real outside world; start, listen, stop
    readers.py   the other processes, as the main one keeps them
    reader.py    such a process
"""

from miroir.runtime.app_side import make_app
from miroir.runtime.assembly import Services, make_services
from miroir.runtime.outside import Outside
from miroir.runtime.serving import serve

__all__ = ["Outside", "Services", "make_app", "make_services", "serve"]

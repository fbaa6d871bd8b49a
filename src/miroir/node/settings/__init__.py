"""
The 22 settings of an index: their checks, normal forms, defaults and merge rules.

Three forms, and which file owns each:
- *patch*: what a request asks for, checked; key absent = untouched, None = reset (`patch.py`);
- *stored*: only what was set explicitly, in normal form, secrets in clear (`merge.py`);
- *shown*: every key with defaults filled in, secrets masked (`forms.py`).

Nothing in this package does I/O or knows HTTP.
"""

from miroir.node.settings.forms import engine_form, shown, shown_setting
from miroir.node.settings.merge import merged
from miroir.node.settings.patch import cleared, details, one_setting, parse_patch
from miroir.node.settings.table import SETTINGS, Setting

__all__ = [
    "SETTINGS",
    "Setting",
    "cleared",
    "details",
    "engine_form",
    "merged",
    "one_setting",
    "parse_patch",
    "shown",
    "shown_setting",
]

"""
What it means to bring a former version's settings back.

A former version says nothing of keys that engines did not have then. Those go to their defaults;
one that Miroir does not know either stays as it is, as nobody can say what its default is. Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from miroir.core import settings as rules
from miroir.core.engine_keys import at_default

Settings = Mapping[str, Any]


def target(base: Settings, former: Settings) -> dict[str, Any]:
    """Return the complete settings: those of the former version, and defaults for newer keys."""
    newer = {key: rules.BY_KEY[key].default for key in base if key in rules.BY_KEY}
    return {**base, **newer, **former}


def patch(bases: Iterable[Settings], wanted: Settings) -> dict[str, Any]:
    """
    Return the keys that change, with their values as wanted.

    Args:
        bases: The settings that may be in force when the rollback starts: those of now, and those
            after each change that waits before it, as any of these may be aborted.
        wanted: Complete target.
    """
    changing = {key for base in bases for key in _changes(base, wanted)}
    return {key: value for key, value in wanted.items() if key in changing}


def _changes(base: Settings, wanted: Settings) -> list[str]:
    """
    Return the keys that a node has to know to come from `base` to what is wanted.

    One that is not in force, and goes to its default, need not be known; nor one that no node
    shows now and Miroir does not know either: an engine had it then.
    """
    return [
        key
        for key in rules.diff(base, wanted)
        if key in base or (key in rules.BY_KEY and not at_default(key, wanted.get(key), None))
    ]

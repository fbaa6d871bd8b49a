"""
Experimental features: which change what settings look like, what differs, what to agree on.

An *engine class* is a version together with those features that change the shape of settings.
Fingerprints are comparable within one class only: a node where a feature was turned on shows one
key more, which is no drift. Measured with Meilisearch 1.50: of its 15 features two do so, each by
showing one key that is stored all the time (routes/indexes/settings.rs, `get_all`).
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

Features = Mapping[str, bool]

SHOWS: Final[Mapping[str, str]] = {"chatCompletions": "chat", "foreignKeys": "foreignKeys"}
"""Feature -> the settings key that nodes show only while it is on."""

_MARK: Final = "+"


def engine_class(version: str, features: Features) -> str:
    """Return the class of a node, e.g. `1.50.0` or `1.50.0+chatCompletions,foreignKeys`."""
    return _named(version, {name for name in SHOWS if features.get(name) is True})


def version_of(engine: str) -> str:
    """Return the version in an engine class."""
    return engine.partition(_MARK)[0]


def class_shown(engine: str, settings: Mapping[str, Any]) -> str:
    """
    Return the class that a read-back itself tells.

    The class that is known of a node is as old as its last health check; a feature may have been
    switched since. What a node showed is judged by what it was when it showed it.
    """
    shown = {name for name, key in SHOWS.items() if key in settings}
    return _named(version_of(engine), shown)


def _named(version: str, features: Collection[str]) -> str:
    return version + (_MARK + ",".join(sorted(features)) if features else "")


def visible(settings: Mapping[str, Any], features: Features) -> dict[str, Any]:
    """Return settings without the keys whose feature is off, as a node shows them."""
    off = {key for name, key in SHOWS.items() if not features.get(name)}
    return {key: value for key, value in settings.items() if key not in off}


def differing(wanted: Features, shown: Features) -> dict[str, bool]:
    """Return what has to be sent to a node; a flag that it does not know cannot be sent."""
    return {k: on for k, on in wanted.items() if k in shown and shown[k] is not on}


def unknown(wanted: Features, shown: Features) -> tuple[str, ...]:
    """Return the flags that are to be on and that a node does not know."""
    return tuple(sorted(name for name, on in wanted.items() if on and name not in shown))


def news(shown: Collection[Features], known: Features) -> dict[str, bool]:
    """
    Return what is to be taken over of flags that the cluster does not know yet.

    One that is on waits until every node knows it: before, it could not be on everywhere, and
    half of a rolling upgrade is no time to decide.
    """
    return {
        name: on
        for name, on in agreed(shown).items()
        if name not in known and not (on and any(name not in flags for flags in shown))
    }


def agreed(shown: Collection[Features]) -> dict[str, bool]:
    """Return what most nodes show, flag by flag, among those that know it; a tie is off."""
    names = dict.fromkeys(name for features in shown for name in features)
    votes = {name: [f[name] for f in shown if name in f] for name in names}
    return {name: 2 * sum(cast) > len(cast) for name, cast in votes.items()}

"""
The commons: what belongs to no index and must yet be equal on every node.

Each is one object of the store with a version, a history and a queue of its own, and is changed by
the same machine as the settings of an index. Their uids are reserved, so that no client can have
an index of that name, and the commons live in a view of their own: they are no indexes, have no
documents, and stand in no list of indexes.
"""

from typing import Final

from miroir.core.topology import IndexUid

FEATURES: Final = IndexUid("_miroir_features")
"""The experimental features: flag -> whether it is on."""

KEYS: Final = IndexUid("_miroir_keys")
"""The API keys: uid -> definition, or None for one that was deleted."""

COMMONS: Final = frozenset({FEATURES, KEYS})


def is_common(uid: str) -> bool:
    """Whether a uid names a common object rather than an index."""
    return uid in COMMONS

"""
Canonical settings -> SHA-256: the evidence that two nodes of one engine version serve the same.

"Miroir canonical form": the settings as a node reports them, sets sorted, masked secrets taken
out, keys sorted, no white space. Not RFC 8785 (floats and non-BMP keys differ), and comparable
only between nodes of one engine version, since shapes and defaults change between versions.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, NewType

import orjson

from miroir.core.settings_normal import canonical

Fingerprint = NewType("Fingerprint", str)
"""Lower-case hex SHA-256 of canonical settings. Compare only."""


def fingerprint(settings: Mapping[str, Any]) -> Fingerprint:
    """Return the fingerprint of a complete settings object, as a node reports it."""
    return digest(canonical(settings))


def digest(value: object) -> Fingerprint:
    """Return the SHA-256 of any JSON value in canonical form."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return Fingerprint(hashlib.sha256(text).hexdigest())

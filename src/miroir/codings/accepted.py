"""
Which coding an answer gets: what the client weighs highest, of equals what is smallest.

`*` and codings that are not made here count for nothing, as with nodes.
"""

import re
from functools import lru_cache
from typing import Final

_MADE: Final = ("br", "gzip", "deflate")
_WEIGHT: Final = re.compile(r"(?:0(?:[.][0-9]{0,3})?|1(?:[.]0{0,3})?)")


@lru_cache(maxsize=256)
def chosen(accept_encoding: str) -> str | None:
    """Return the coding for a client that sends this `Accept-Encoding`; None for no coding."""
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights[name] = _weight(parameters)
    best = max(_MADE, key=lambda name: weights.get(name, 0.0))  # The first of equals.
    plain = weights.get("identity", 0.0)
    return best if weights.get(best, 0.0) > 0 and weights[best] >= plain else None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            text = value.strip()
            return float(text) if _WEIGHT.fullmatch(text) else 0.0
    return 1.0

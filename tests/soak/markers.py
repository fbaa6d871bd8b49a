"""
Markers: settings that show in the hits, so that an answer tells by itself which ones it came from.

A marker is a number. Written with three digits of base 16 it gives three words, one for each
place, and the settings have them as synonyms of `marker`. Every shard holds one document for each
of these 48 words. A search for `marker` then finds, on each shard, the three documents of the
marker that is in force there. Any number below 4096 needs no further documents.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from miroir.core.routing import shard_of, slot_table

QUERY: Final = "marker"
PLACES: Final = 3
BASE: Final = 16
COUNT: Final = BASE**PLACES
NONE: Final = -1
"""A shard showed no marker at all."""
GARBLED: Final = -2
"""A shard showed what no single settings can show."""
FIRST_ID: Final = 1_000_000
"""Documents of markers have this id or a higher one."""


def words(marker: int) -> list[str]:
    """Return the words of a marker."""
    assert 0 <= marker < COUNT
    return [_word(place, (marker // BASE**place) % BASE) for place in range(PLACES)]


def synonyms(marker: int) -> dict[str, list[str]]:
    """Return the synonyms of a marker."""
    return {QUERY: words(marker)}


def documents(shards: int) -> list[dict[str, Any]]:
    """Return one document for each shard and word, placed as Miroir places them."""
    table, number = slot_table(shards), FIRST_ID
    missing = {s: [_word(p, d) for p in range(PLACES) for d in range(BASE)] for s in range(shards)}
    found: list[dict[str, Any]] = []
    while any(missing.values()):
        shard = int(shard_of(str(number), table))
        if missing[shard]:
            found.append({"id": number, "text": missing[shard].pop(), "shard": shard})
        number += 1
    return found


def search_body(shards: int) -> dict[str, Any]:
    """Return the search whose answer `read` understands."""
    return {"q": QUERY, "limit": shards * PLACES * 2, "attributesToRetrieve": ["text", "shard"]}


def read(hits: Iterable[Mapping[str, Any]], shards: int) -> tuple[int, ...]:
    """Return the marker that each shard showed, `NONE`, or `GARBLED`."""
    seen: list[list[str]] = [[] for _ in range(shards)]
    for hit in hits:
        seen[hit["shard"]].append(hit["text"])
    return tuple(_marker(found) for found in seen)


def of_settings(settings: Mapping[str, Any] | None) -> int | None:
    """Return the marker in settings; None if there is none."""
    found = ((settings or {}).get("synonyms") or {}).get(QUERY)
    if not found:
        return None
    marker = _marker(found)
    return marker if marker >= 0 else None


def _word(place: int, digit: int) -> str:
    return f"p{place}d{digit:x}q"


def _marker(found: Iterable[str]) -> int:
    digits = {_PLACES.get(word) for word in found}
    if not digits:
        return NONE
    by_place = dict(digits - {None})  # type: ignore[arg-type]
    if None in digits or len(by_place) != PLACES or len(digits) != PLACES:
        return GARBLED
    return sum(digit * BASE**place for place, digit in by_place.items())


_PLACES: Final = {_word(p, d): (p, d) for p in range(PLACES) for d in range(BASE)}

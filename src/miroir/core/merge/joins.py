"""
Hits that are filled in with documents of another index (the experimental setting `foreignKeys`).

A node puts the document that a field names in the field's place, or an empty object where it has
none; over shards it has a part of the other index only. So what hits name is read once more, then
the documents that are named, over all shards of the other index:

    with_key    the request, so that every hit shows its id
    named_in    which documents a stored document names, by index
    filled      the hits with them, and without ids that the client has not asked for

    "author":"a1" stored ─▶ "author":{} or {"id":"a1",..} from a node ─▶ {"id":"a1",..}

Only what a node has replaced is replaced: with the feature off nodes leave hits alone, and so do
we. Everything else of an answer stays as it is, byte for byte.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.additions import without
from miroir.core.merge.query import formatted_by_name, is_covered

_FORMATTED: Final = "_formatted"
_VALID: Final = re.compile("[A-Za-z0-9_-]{1,511}")
_RETRIEVE: Final = "attributesToRetrieve"
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode

Documents = Mapping[tuple[str, str], Raw]
"""Index and id -> the document as its index shows it."""


@dataclass(frozen=True)
class Join:
    """
    What fills in the hits of one index.

    Attributes:
        primary_key: Of the index.
        fields: Path of a field -> the index whose documents it names.
        added: The key was added to the hits and is to be taken out.
        kept_formatted: Patterns of what stays in `_formatted`.
    """

    primary_key: str
    fields: Mapping[str, str]
    added: bool = False
    kept_formatted: tuple[str, ...] = ()

    @property
    def stored_fields(self) -> list[str]:
        """What is to be read of the documents behind hits."""
        return list(dict.fromkeys([self.primary_key, *self.fields]))


def join_of(
    settings: Mapping[str, Any] | None, primary_key: str | None, query: Mapping[str, Any]
) -> Join | None:
    """Return how hits of a query are filled in; None: nodes do it right, or nobody can."""
    given = settings or {}
    keys = given.get("foreignKeys")
    displayed = given.get("displayedAttributes") or ("*",)
    if not keys or primary_key is None or not is_covered(primary_key, displayed):
        return None
    fields = {key["fieldName"]: key["foreignIndexUid"] for key in keys}
    retrieved = query.get(_RETRIEVE)
    is_list = isinstance(retrieved, list) and all(isinstance(name, str) for name in retrieved)
    added = is_list and not is_covered(primary_key, retrieved or [])
    return Join(primary_key, fields, added, formatted_by_name(query) if added else ())


def with_key(query: Mapping[str, Any], join: Join) -> dict[str, Any]:
    """Return the query for hits that show their ids."""
    if not join.added:
        return dict(query)
    return {**query, _RETRIEVE: [*query[_RETRIEVE], join.primary_key]}


def id_of(hit: bytes | Raw, join: Join) -> str | None:
    """Return the id of a hit as text; None if it shows none."""
    raw = _members(hit).get(join.primary_key)
    return None if raw is None else _id(msgspec.json.decode(raw))


def named_in(stored: Mapping[str, Any], join: Join) -> Iterator[tuple[str, str]]:
    """Yield index and id of what a stored document names."""
    for path, uid in join.fields.items():
        for leaf in _leaves(stored, path.split(".")):
            if (name := _id(leaf)) is not None:
                yield uid, name


def displayed(document: bytes | Raw, patterns: Sequence[str]) -> Raw:
    """Return a document as its index displays it."""
    members = _members(document)
    kept = {name: raw for name, raw in members.items() if is_covered(name, tuple(patterns))}
    return Raw(msgspec.json.encode(kept))


def filled(hit: bytes | Raw, stored: Mapping[str, Any], join: Join, found: Documents) -> bytes:
    """
    Return a hit with the documents that it names.

    Args:
        hit: As merged.
        stored: Its document, without what nodes put in.
        join: Of its index.
        found: The documents that are there.
    """
    members = _filled(_members(hit), stored, join, found)
    if _FORMATTED in members:
        inner = _filled(_members(members[_FORMATTED]), stored, join, found)
        members[_FORMATTED] = Raw(msgspec.json.encode(inner))
    whole = msgspec.json.encode(members)
    if not join.added:
        return whole
    return b"{%b}" % without(whole[1:-1], [join.primary_key], join.kept_formatted)


def _filled(
    members: dict[str, Raw], stored: Mapping[str, Any], join: Join, found: Documents
) -> dict[str, Raw]:
    for path, uid in join.fields.items():
        name, *inner = path.split(".")
        if name in members and name in stored:
            shown = msgspec.json.decode(members[name])
            value = _put(shown, stored[name], inner, lambda id_, uid=uid: found.get((uid, id_)))
            members[name] = Raw(msgspec.json.encode(value))
    return members


def _put(shown: Any, stored: Any, path: Sequence[str], document_of: Any) -> Any:
    """Return what is shown with documents where nodes have put some."""
    if isinstance(shown, list) and isinstance(stored, list):
        pairs = zip(shown, stored, strict=False)
        return [_put(one, other, path, document_of) for one, other in pairs]
    if path:
        if not isinstance(shown, dict) or not isinstance(stored, dict):
            return shown
        name = path[0]
        if name not in shown or name not in stored:
            return shown
        return {**shown, name: _put(shown[name], stored[name], path[1:], document_of)}
    named = _id(stored)
    if not isinstance(shown, dict) or named is None:
        return shown
    document = document_of(named)
    return {} if document is None else document


def _leaves(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _leaves(value[path[0]], path[1:])


def _id(value: Any) -> str | None:
    if isinstance(value, str):
        return value if _VALID.fullmatch(value) else None
    return str(value) if type(value) is int else None

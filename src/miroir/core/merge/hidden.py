"""
What hits are ordered by and do not show: read by another route, put in, and taken out again.

Instead of a sort value whose attribute is not displayed, nodes write `<hidden-rule-3>` and
`<hidden>`; a distinct attribute that is not displayed is in no hit. Documents are shown whole by
`documents/fetch`, to the cluster's own key:

    wanted_of(answer)   -> which documents of a shard to read, and what of them
    documents_of(answer)-> what they hold, by id
    revealed(answer)    -> the search answer with the values in its score details, and with the
                           distinct attribute in its hits

The client gets its hits without any of it (`redacted`; for attributes: additions.py): it learns
the order and nothing else, as from one node. A document that is gone by the time it is read is no
hit any more. Values are read as nodes read them: numbers before text, the lowest or the highest of
several, of texts what a node indexes (distinct.py).

Source: sort.rs of milli; documents.rs of Meilisearch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from miroir.core.merge.distinct import Value, distinct_values
from miroir.core.merge.hits import Hit, cut
from miroir.core.merge.identity import identity_of
from miroir.core.merge.ranking import Incomparable
from miroir.core.merge.sort_rules import SortRule
from miroir.errors import NodeAnswerUnreadable

_HIDDEN_RULE: Final = "<hidden-rule-"
_HIDDEN: Final = "<hidden>"
HIDDEN_DISTINCT: Final = "<hidden-distinct>"
"""The member into which the values of a distinct attribute are put that is not displayed."""

Documents = Mapping[str, bytes]
"""The members of documents, without braces, by id."""


class Hidden(msgspec.Struct, frozen=True):
    """
    What one search hides.

    Attributes:
        primary_key: In all hits.
        rules: The sort rules that nodes hide, in the order in which they are applied.
        distinct: The distinct attribute, if it is not displayed.
    """

    primary_key: str
    rules: tuple[SortRule, ...]
    distinct: str | None = None

    @property
    def fields(self) -> list[str]:
        """What is to be read of a document."""
        fields = [self.primary_key, *(rule.field for rule in self.rules)]
        return list(dict.fromkeys(fields if self.distinct is None else [*fields, self.distinct]))


HiddenOf = Callable[[bytes], Hidden | None]
"""What the search hides that has found this raw hit; None: nothing."""


class _Page(msgspec.Struct):
    results: list[Raw]


_decode: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_hits: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_page: Final = msgspec.json.Decoder(_Page).decode
_decode_details: Final = msgspec.json.Decoder(dict[str, dict[str, Any]]).decode


def hidden_rules(
    rules: Sequence[SortRule], displayed_attributes: Sequence[str]
) -> tuple[SortRule, ...]:
    """Return those of the rules that nodes hide: all that are not displayed by their own name."""
    return tuple(rule for rule in rules if rule.field not in displayed_attributes)


def wanted_of(answer: bytes, position: int, hidden_of: HiddenOf) -> dict[str, Any] | None:
    """
    Return what to ask of `documents/fetch`; None: nothing.

    Args:
        answer: Of a search.
        position: Of its shard.
        hidden_of: What is hidden of a hit.

    Raises:
        NodeAnswerUnreadable: It is none.
    """
    ids: dict[str, None] = {}
    fields: dict[str, None] = {}
    for raw in _hits(answer, position):
        hidden = hidden_of(raw)
        if hidden is None:
            continue
        try:
            hit, _ = cut(raw)
        except Incomparable:
            return None  # Merging says why.
        ids[_id(hit, hidden, position)] = None
        fields.update(dict.fromkeys(hidden.fields))
    return {"ids": list(ids), "fields": list(fields), "limit": len(ids)} if ids else None


def documents_of(answer: bytes, position: int, primary_key: str) -> Documents:
    """
    Return the documents of an answer of `documents/fetch`.

    Raises:
        NodeAnswerUnreadable: It is none.
    """
    try:
        results = _decode_page(answer).results
    except msgspec.DecodeError as error:
        raise NodeAnswerUnreadable(f"not a page of documents: {error}", position) from None
    members = (bytes(raw).strip()[1:-1] for raw in results)
    named = ((identity_of(document, primary_key), document) for document in members)
    return {name: document for name, document in named if name is not None}


def revealed(answer: bytes, position: int, documents: Documents, hidden_of: HiddenOf) -> bytes:
    """
    Return the answer of a search with what its hits hide.

    Args:
        answer: The one that `wanted_of` has seen.
        position: Of its shard.
        documents: Of the same shard; hits that are not among them are left out.
        hidden_of: What is hidden of a hit.
    """
    hits = b",".join(_shown(_hits(answer, position), position, documents, hidden_of))
    return msgspec.json.encode({**_decode(answer), "hits": Raw(b"[%b]" % hits)})


def redacted(hit: Hit) -> Hit:
    """Return a hit with the score details that its node has shown."""
    name, colon, text = hit.details.partition(b":")
    details = _decode_details(text)
    for rule in details:
        if rule.startswith(_HIDDEN_RULE):
            details[rule] = {"order": details[rule]["order"], "value": _HIDDEN}
    return _with_details(hit, name + colon + msgspec.json.encode(details))


def _with_details(hit: Hit, details: bytes) -> Hit:
    raw = b"%b%b}" % (hit.raw[: hit.details_at + 1], details)
    return Hit(raw, hit.score_at)


def _hits(answer: bytes, position: int) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _decode_hits(_decode(answer)["hits"])]
    except (msgspec.DecodeError, KeyError) as error:
        raise NodeAnswerUnreadable(f"not a search answer: {error}", position) from None


def _id(hit: Hit, hidden: Hidden, position: int) -> str:
    found = identity_of(hit.document, hidden.primary_key)
    if found is None:
        raise NodeAnswerUnreadable(f"a hit without `{hidden.primary_key}`", position)
    return found


def _shown(
    hits: Sequence[bytes], position: int, documents: Documents, hidden_of: HiddenOf
) -> Iterator[bytes]:
    for raw in hits:
        hidden = hidden_of(raw)
        if hidden is None:
            yield raw
            continue
        hit, _ = cut(raw)
        document = documents.get(_id(hit, hidden, position))
        if document is not None:
            yield _with_values(hit, document, hidden).raw


def _with_values(hit: Hit, document: bytes, hidden: Hidden) -> Hit:
    name, colon, text = hit.details.partition(b":")
    details = _decode_details(text)
    names = (name for name in details if name.startswith(_HIDDEN_RULE))
    in_order = sorted(names, key=lambda name: details[name]["order"])
    # A search that was cut off has not come to its last rules.
    for hidden_name, rule in zip(in_order, hidden.rules, strict=False):
        direction = "asc" if rule.ascending else "desc"
        value = _value(distinct_values(document, rule.field), rule)
        details[hidden_name] |= {"value": value, "hidden": direction}
    shown = _with_details(hit, name + colon + msgspec.json.encode(details))
    if hidden.distinct is None:
        return shown
    values = [value for _, value in distinct_values(document, hidden.distinct)]
    member = b"%b:%b" % (msgspec.json.encode(HIDDEN_DISTINCT), msgspec.json.encode(values))
    return shown.with_document(b"%b,%b" % (shown.document, member))


def _value(values: frozenset[Value], rule: SortRule) -> str | float | None:
    """Return the value by which a node sorts a document that has these."""
    for kind in ("number", "string"):
        found = [value for of_kind, value in values if of_kind == kind]
        if found:
            return min(found) if rule.ascending else max(found)
    return None

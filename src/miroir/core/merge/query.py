"""
What each shard is asked, so that the answers can be merged, and what the client asked.

Rules:
- Every shard returns its first offset+limit hits (the window may lie wholly on one shard), with
  score and score details; no more than `maxTotalHits`, which is where one node would stop.
- Page mode stays page mode: nodes count exhaustively only there.
- A parameter that a node would refuse is passed on as it is: the node words the refusal.
- What hits are ordered by and do not show is looked up (hidden.py).
- `distinct` needs its attribute in the hits, the order of equals the primary key (ties.py); what
  the client did not ask for is asked for and taken out again (additions.py).

May not be put here: parsing of HTTP, choice of nodes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from miroir.core.merge.foreign_filters import conditions
from miroir.core.merge.hidden import HIDDEN_DISTINCT, Hidden, hidden_rules
from miroir.core.merge.sort_rules import sort_rules

FacetOrder = Literal["alpha", "count"]

_LIMIT: Final = 20
_HITS_PER_PAGE: Final = 20
_REFUSED: Final = {
    "personalize": "personalized results cannot be merged over several shards",
    "personalizeUserContext": "personalized results cannot be merged over several shards",
    "_foreign": "filters on another index (`_foreign`) cannot be merged over several shards",
    "useNetwork": "`useNetwork` is not supported: the shards are Miroir's own network",
}


@dataclass(frozen=True)
class CannotMerge:
    """
    The answers cannot be merged exactly.

    Attributes:
        reason: A sentence for the client.
    """

    reason: str


@dataclass(frozen=True)
class SearchSettings:
    """
    The settings of the index that merging depends on, as the client set them.

    Attributes:
        distinct_attribute: The index's own; a query may name another.
        displayed_attributes: Patterns; what is not displayed is in no hit.
        max_total_hits: Hits that one node returns at most, whatever the offset.
        sort_facet_values_by: Order by facet name, `*` for the others.
        max_values_per_facet: Values kept of each facet.
        primary_key: Of its documents; None: it has none yet.
        ranking_rules: As they are listed.
    """

    distinct_attribute: str | None = None
    displayed_attributes: tuple[str, ...] = ("*",)
    max_total_hits: int = 1000
    sort_facet_values_by: Mapping[str, FacetOrder] = field(default_factory=lambda: {"*": "alpha"})
    max_values_per_facet: int = 100
    primary_key: str | None = None
    ranking_rules: tuple[str, ...] = ("sort",)

    def facet_order(self, facet: str) -> FacetOrder:
        """Return the order of this facet's values."""
        order = self.sort_facet_values_by
        return order.get(facet, order.get("*", "alpha"))


class Asked(msgspec.Struct, frozen=True):
    """
    What the client asked for, which the merged answer must look like.

    Attributes:
        offset: Hits to leave out.
        limit: Hits to return.
        page: The page; None in offset/limit mode.
        hits_per_page: Of the page.
        settings: The settings in force.
        show_score: Keep `_rankingScore`.
        show_details: Keep `_rankingScoreDetails`.
        distinct: The attribute whose values may come once.
        added: Attributes that were added to the hits and are to be taken out.
        kept_formatted: Patterns of those that are to stay in `_formatted`.
        hidden: What hits are ordered by and do not show.
    """

    offset: int = 0
    limit: int = _LIMIT
    page: int | None = None
    hits_per_page: int = _HITS_PER_PAGE
    settings: SearchSettings = msgspec.field(default_factory=SearchSettings)
    show_score: bool = False
    show_details: bool = False
    distinct: str | None = None
    added: tuple[str, ...] = ()
    kept_formatted: tuple[str, ...] = ()
    hidden: Hidden | None = None

    @property
    def window_end(self) -> int:
        """Merged hits to look at, 0 if none is shown; a node stops at `maxTotalHits`."""
        end = min(self.offset + self.limit, self.settings.max_total_hits)
        return end if end > self.offset else 0


class NodeQuery(msgspec.Struct, frozen=True):
    """
    One search, rewritten.

    Attributes:
        body: The JSON body for every shard.
        asked: What `merge_search` needs to know.
    """

    body: dict[str, Any]
    asked: Asked


def rewrite_search(
    query: Mapping[str, Any], shards: int, settings: SearchSettings | None = None
) -> NodeQuery | CannotMerge:
    """
    Return what each shard is asked and what was asked of all of them.

    Args:
        query: The client's search body.
        shards: How many shards answer.
        settings: The index's settings in force; None = defaults.
    """
    assert shards > 1, "one shard's answer passes through untouched"
    settings = settings or SearchSettings()
    if (reason := refused_parameter(query)) is not None:
        return CannotMerge(reason)
    body = dict(query)
    distinct = _distinct(query, settings)
    hidden: Hidden | CannotMerge | None = None
    if "*" not in settings.displayed_attributes:
        hidden = _hidden(query, settings, distinct)
    if isinstance(hidden, CannotMerge):
        return hidden
    asked = window_of(query, settings, distinct)
    if added := _missing(query, (distinct, settings.primary_key), settings):
        body["attributesToRetrieve"] = [*query["attributesToRetrieve"], *added]
        asked = msgspec.structs.replace(
            asked, added=added, kept_formatted=formatted_by_name(query)
        )
    if hidden is not None:
        asked = _looked_up(asked, hidden)
    _ask_for_window(body, asked)
    for name in ("showRankingScore", "showRankingScoreDetails"):
        if isinstance(body.get(name, False), bool):
            body[name] = True
    return NodeQuery(body, asked)


def refused_parameter(query: Mapping[str, Any]) -> str | None:
    """Return why a query cannot be merged whatever its answers; None if nothing speaks against."""
    for name, reason in _REFUSED.items():
        if query.get(name) and query[name] != "false":  # As a query string has it.
            return reason
    # Of another index each node holds a part.
    return _REFUSED["_foreign"] if any(conditions(query.get("filter"))) else None


def window_of(
    query: Mapping[str, Any],
    settings: SearchSettings,
    distinct: str | None = None,
) -> Asked:
    """Return the window that a query asks for, and what its hits show."""
    paged = query.get("page") is not None or query.get("hitsPerPage") is not None
    size = _count(query.get("hitsPerPage"), _HITS_PER_PAGE)
    if paged:
        page = _count(query.get("page"), 1)
        limit = size if page else 0
        offset = max(page - 1, 0) * size
    else:
        page, offset = None, _count(query.get("offset"), 0)
        limit = _count(query.get("limit"), _LIMIT)
    return Asked(
        offset=offset,
        limit=limit,
        page=page,
        hits_per_page=size,
        settings=settings,
        show_score=query.get("showRankingScore") is True,
        show_details=query.get("showRankingScoreDetails") is True,
        distinct=distinct,
    )


def _ask_for_window(body: dict[str, Any], asked: Asked) -> None:
    """Ask for everything up to the window's end, where the client's own values make sense."""
    size, start, first = (
        ("limit", "offset", 0) if asked.page is None else ("hitsPerPage", "page", 1)
    )
    null_is_fine = asked.page is not None
    if all(
        _is_count(body.get(name, 0)) or (null_is_fine and body[name] is None)
        for name in (size, start)
    ):
        body[size] = asked.window_end
        body[start] = first


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _count(value: object, default: int) -> int:
    """Read a parameter; a node refuses what is no count, so any number does for that."""
    return value if type(value) is int and value >= 0 else default


def _distinct(query: Mapping[str, Any], settings: SearchSettings) -> str | None:
    named = query.get("distinct")
    return named if isinstance(named, str) else settings.distinct_attribute


def _hidden(
    query: Mapping[str, Any], settings: SearchSettings, distinct: str | None
) -> Hidden | CannotMerge | None:
    displayed, primary_key = settings.displayed_attributes, settings.primary_key
    rules = hidden_rules(sort_rules(query.get("sort"), settings.ranking_rules), displayed)
    unseen = distinct if distinct and not is_covered(distinct, displayed) else None
    if primary_key is None or not (rules or unseen):
        return None  # Without a key there are no documents.
    if not is_covered(primary_key, displayed):
        return CannotMerge(
            f"`{primary_key}` is the primary key and not displayed: what hits are ordered by "
            "cannot be looked up over several shards"
        )
    return Hidden(primary_key, rules, unseen)


def _looked_up(asked: Asked, hidden: Hidden) -> Asked:
    """Return what was asked, of hits to which what they hide is added."""
    if hidden.distinct is None:
        return msgspec.structs.replace(asked, hidden=hidden)
    added = (*asked.added, HIDDEN_DISTINCT)
    return msgspec.structs.replace(asked, hidden=hidden, distinct=HIDDEN_DISTINCT, added=added)


def _missing(
    query: Mapping[str, Any], needed: Iterable[str | None], settings: SearchSettings
) -> tuple[str, ...]:
    """Return the needed attributes that the client has not asked for and a node can show."""
    retrieved = query.get("attributesToRetrieve")
    if not isinstance(retrieved, list) or not all(isinstance(name, str) for name in retrieved):
        return ()
    shown = {name for name in needed if name and is_covered(name, settings.displayed_attributes)}
    return tuple(sorted(name for name in shown if not is_covered(name, retrieved)))


def formatted_by_name(query: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the attributes that are formatted by name, whether they are retrieved or not."""
    names: list[str] = []
    for member in ("attributesToHighlight", "attributesToCrop"):
        given = query.get(member)
        found = given.split(",") if isinstance(given, str) else given
        if isinstance(found, list):
            names += [name for name in found if isinstance(name, str)]
    return tuple(name.rpartition(":")[0] or name for name in names)


def is_covered(attribute: str, patterns: list[str] | tuple[str, ...]) -> bool:
    """Whether the patterns show this attribute: itself, a parent, or `prefix*`."""
    return any(
        attribute == pattern
        or attribute.startswith(pattern + ".")
        or (pattern.endswith("*") and attribute.startswith(pattern[:-1]))
        for pattern in patterns
    )

"""
What a change of one setting costs a node that holds documents, told from both values.

The class of a key (`core/settings.py`) is its worst case. Here the two values decide: only a new
order of `searchableAttributes` is read at query time, a typo setting for numbers is not. Source:
Meilisearch 1.50, milli/src/update/settings.rs (`InnerIndexSettingsDiff`). On an empty index every
change is trivial; that is the caller's to know. Pure; how long it takes is `estimate.py`'s.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from miroir.core.settings import BY_KEY, EMBEDDERS, Cost, defaults, resolve

Settings = Mapping[str, Any]
ORDER: Final = (Cost.INSTANT, Cost.FACETS, Cost.RETOKENISE, Cost.REEMBED)
"""From cheap to dear."""
_BY_FIELD: Final = re.compile(r"^(.+):(?:asc|desc)$")
_FREE: Final = frozenset({"apiKey", "headers", "searchFragments", "distribution"})
_TOKENS: Final = ("disableOnNumbers", "disableOnAttributes")


@dataclass(frozen=True)
class Effect:
    """
    What a change does to a node.

    Attributes:
        cost: Its class.
        why: For people: what is done again, and for what.
    """

    cost: Cost
    why: str


_PLAIN: Final = {
    Cost.INSTANT: "read at query time",
    Cost.FACETS: "facet databases of the fields concerned",
    Cost.RETOKENISE: "all searchable text is tokenised again",
    Cost.REEMBED: "documents are embedded again",
}


def effect(key: str, before: Settings, after: Settings) -> Effect:
    """Return what it costs to bring `key` from its value in `before` to the one in `after`."""
    setting = BY_KEY.get(key)
    if setting is None:
        return Effect(Cost.RETOKENISE, "a key unknown to this release, taken for a dear one")
    judge = _JUDGES.get(key)
    found = judge(before, after) if judge else None
    return found or Effect(setting.cost, _PLAIN[setting.cost])


def worst(effects: Iterable[Effect]) -> Cost:
    """Return the dearest class; of nothing, instant."""
    return max((e.cost for e in effects), key=ORDER.index, default=Cost.INSTANT)


def class_of(patch: Settings) -> Cost:
    """Return the class of a patch of which only this is known, and not what it has changed."""
    before = defaults()
    after = resolve(before, patch)
    return worst(effect(key, before, after) for key in patch)


def _searchable(before: Settings, after: Settings) -> Effect:
    old, new = (_texts(s.get("searchableAttributes")) for s in (before, after))
    if set(old) == set(new):
        return Effect(Cost.INSTANT, "only the order, read at query time")
    templates = _with_templates(after.get(EMBEDDERS))
    if templates:
        return Effect(
            Cost.REEMBED,
            f"templates list searchable fields: {', '.join(templates)} may embed again",
        )
    if "*" not in (*old, *new) and set(old) < set(new):
        return Effect(Cost.RETOKENISE, "only the added fields are tokenised")
    return Effect(Cost.RETOKENISE, _PLAIN[Cost.RETOKENISE])


def _ranking(before: Settings, after: Settings) -> Effect:
    old, new = (
        {m[1] for rule in _texts(s.get("rankingRules")) if (m := _BY_FIELD.match(rule))}
        for s in (before, after)
    )
    if new <= old:
        return Effect(Cost.INSTANT, _PLAIN[Cost.INSTANT])
    return Effect(Cost.FACETS, f"facet databases of {', '.join(sorted(new - old))}")


def _distinct(before: Settings, after: Settings) -> Effect | None:
    field = after.get("distinctAttribute")
    if field is None or field in _faceted(before):
        return Effect(Cost.INSTANT, "nothing is indexed for it")
    return None


def _typos(before: Settings, after: Settings) -> Effect:
    old, new = (s.get("typoTolerance") or {} for s in (before, after))
    told = [leaf for leaf in _TOKENS if old.get(leaf) != new.get(leaf)]
    if told:
        return Effect(Cost.RETOKENISE, f"{', '.join(told)}: {_PLAIN[Cost.RETOKENISE]}")
    return Effect(Cost.INSTANT, _PLAIN[Cost.INSTANT])


def _embedders(before: Settings, after: Settings) -> Effect:
    old, new = (s.get(EMBEDDERS) or {} for s in (before, after))
    dear = [name for name in new if _embeds_again(old.get(name), new[name])]
    if dear:
        return Effect(Cost.REEMBED, f"every document is embedded by {', '.join(dear)}")
    return Effect(Cost.INSTANT, "nothing is embedded again")


def _embeds_again(old: Any, new: Any) -> bool:
    if not isinstance(new, Mapping):
        return False
    source = new.get("source")
    if not isinstance(old, Mapping):
        return source != "userProvided"  # Its vectors come with the documents.
    free = _FREE | ({"url"} if source == "openAi" else set())
    changed = {field for field in {*old, *new} if old.get(field) != new.get(field)}
    return bool(changed - free)


def _with_templates(embedders: Any) -> list[str]:
    if not isinstance(embedders, Mapping):
        return []
    return [
        name
        for name, value in embedders.items()
        if isinstance(value, Mapping) and value.get("documentTemplate")
    ]


def _faceted(settings: Settings) -> set[str]:
    rules = settings.get("filterableAttributes") or []
    return {*_texts(rules), *_texts(settings.get("sortableAttributes"))}


def _texts(value: Any) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


_JUDGES: Final[Mapping[str, Callable[[Settings, Settings], Effect | None]]] = {
    "searchableAttributes": _searchable,
    "rankingRules": _ranking,
    "distinctAttribute": _distinct,
    "typoTolerance": _typos,
    EMBEDDERS: _embedders,
}

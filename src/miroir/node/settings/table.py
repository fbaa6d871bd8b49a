"""
The settings table: one row per setting, and everything that differs between settings.

Columns: name, route, write verb, error code, check of its value, default as shown. What needs more
than a row (embedders, chat) has its check in a file of its own. Order is the order of GET.
"""

from dataclasses import dataclass
from typing import Any, Final

from miroir.node.settings.chat import CHAT_DEFAULT, chat
from miroir.node.settings.embedders import embedders
from miroir.node.settings.locales import LOCALES
from miroir.node.settings.ranking import ranking_rule
from miroir.node.validate import (
    Check,
    Member,
    Place,
    Struct,
    array,
    boolean,
    kind_of,
    mapping,
    non_zero,
    nullable,
    one_of,
    string,
    struct,
    unsigned,
)

RANKING_RULES: Final = (
    "words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness",
)  # fmt: skip
U8_MAX: Final = 255


@dataclass(frozen=True)
class Setting:
    """
    One setting.

    Attributes:
        name: Its key in a settings object.
        verb: `PUT` or `PATCH`, the verb that writes its own route.
        check: What a value other than null must pass.
        default: What GET shows when it was never set.
        feature: Experimental feature without which GET hides it.
        sort: Whether it is a set: de-duplicated and sorted.
    """

    name: str
    verb: str
    check: Check
    default: Any
    feature: str | None = None
    sort: bool = False

    @property
    def route(self) -> str:
        """The last part of its path, such as `stop-words`."""
        return _dashed(self.name, "-")

    @property
    def code(self) -> str:
        """The error code of a value that fails the check."""
        name = "index_chat" if self.name == "chat" else _dashed(self.name, "_")
        return f"invalid_settings_{name}"

    def place(self, path: str = "") -> Place:
        """Return where its value stands in a request body."""
        return Place(self.code, path)


def _dashed(name: str, dash: str) -> str:
    return "".join(f"{dash}{char.lower()}" if char.isupper() else char for char in name)


_strings: Final = array(string)
_filter_features: Final = struct(equality=Member(boolean), comparison=Member(boolean))
_pattern_rule: Final = struct(
    attributePatterns=Member(_strings, required=True),
    features=Member(struct(facetSearch=Member(boolean), filter=Member(_filter_features))),
)


def _filterable(value: Any, place: Place) -> Any:
    if kind_of(value) != "object":
        return string(value, place)
    rule = _pattern_rule(value, place)
    features = rule.get("features", {})
    filters = features.get("filter", {})
    return {
        "attributePatterns": rule["attributePatterns"],
        "features": {
            "facetSearch": features.get("facetSearch", False),
            "filter": {
                "equality": filters.get("equality", True),
                "comparison": filters.get("comparison", False),
            },
        },
    }


def _word_sizes(value: Any, place: Place) -> dict[str, Any]:
    size = nullable(unsigned(U8_MAX))
    sizes = struct(oneTypo=Member(size), twoTypos=Member(size))(value, place)
    one, two = sizes.get("oneTypo"), sizes.get("twoTypos")
    if one is not None and two is not None and one > two:
        raise place.invalid(typo_sizes_reason(one, two))
    return sizes


def typo_sizes_reason(one: int, two: int) -> str:
    """Return why a word size for one typo may not exceed the one for two."""
    return (
        "`minWordSizeForTypos` setting is invalid. `oneTypo` and `twoTypos` fields should be "
        "between `0` and `255`, and `twoTypos` should be greater or equals to `oneTypo` but found "
        f"`oneTypo: {one}` and twoTypos: {two}`."
    )


def _sorted_set(value: Any, place: Place) -> list[str]:
    return sorted(set(_strings(value, place)))


_typo_tolerance: Final = struct(
    enabled=Member(nullable(boolean)),
    minWordSizeForTypos=Member(nullable(_word_sizes)),
    disableOnWords=Member(nullable(_sorted_set)),
    disableOnAttributes=Member(nullable(_sorted_set)),
    disableOnNumbers=Member(nullable(boolean)),
)
_faceting: Final = struct(
    maxValuesPerFacet=Member(nullable(unsigned())),
    sortFacetValuesBy=Member(nullable(mapping(one_of("alpha", "count")))),
)
_pagination: Final = struct(maxTotalHits=Member(nullable(non_zero)))
_foreign_key: Final = struct(
    foreignIndexUid=Member(string, required=True), fieldName=Member(string, required=True)
)
_localized: Final = Struct(
    {
        "attributePatterns": Member(_strings, required=True),
        "locales": Member(array(one_of(*LOCALES)), required=True),
    }
)
TYPO_DEFAULT: Final[dict[str, Any]] = {
    "enabled": True,
    "minWordSizeForTypos": {"oneTypo": 5, "twoTypos": 9},
    "disableOnWords": [],
    "disableOnAttributes": [],
    "disableOnNumbers": False,
}
FACETING_DEFAULT: Final[dict[str, Any]] = {
    "maxValuesPerFacet": 100,
    "sortFacetValuesBy": {"*": "alpha"},
}

SETTINGS: Final[dict[str, Setting]] = {
    row.name: row
    for row in (
        Setting("displayedAttributes", "PUT", _strings, ["*"]),
        Setting("searchableAttributes", "PUT", _strings, ["*"]),
        Setting("filterableAttributes", "PUT", array(_filterable), []),
        Setting("sortableAttributes", "PUT", _strings, [], sort=True),
        Setting("foreignKeys", "PUT", array(_foreign_key), [], feature="foreignKeys"),
        Setting("rankingRules", "PUT", array(ranking_rule), list(RANKING_RULES)),
        Setting("stopWords", "PUT", _strings, [], sort=True),
        Setting("nonSeparatorTokens", "PUT", _strings, [], sort=True),
        Setting("separatorTokens", "PUT", _strings, [], sort=True),
        Setting("dictionary", "PUT", _strings, [], sort=True),
        Setting("synonyms", "PUT", mapping(_strings), {}),
        Setting("distinctAttribute", "PUT", string, None),
        Setting("proximityPrecision", "PUT", one_of("byWord", "byAttribute"), "byWord"),
        Setting("typoTolerance", "PATCH", _typo_tolerance, TYPO_DEFAULT),
        Setting("faceting", "PATCH", _faceting, FACETING_DEFAULT),
        Setting("pagination", "PATCH", _pagination, {"maxTotalHits": 1000}),
        Setting("embedders", "PATCH", embedders, {}),
        Setting("searchCutoffMs", "PUT", unsigned(), None),
        Setting("localizedAttributes", "PUT", array(_localized), None),
        Setting("facetSearch", "PUT", boolean, default=True),
        Setting("prefixSearch", "PUT", one_of("indexingTime", "disabled"), "indexingTime"),
        Setting("chat", "PATCH", chat, CHAT_DEFAULT, feature="chatCompletions"),
    )
}

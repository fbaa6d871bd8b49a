"""Which ranking rules exist, and the error of a text that is none (milli, criterion.rs)."""

import re
from typing import Final

from miroir.node.errors import ApiError
from miroir.node.validate import Place, string

_NAMED: Final = (
    "words", "typo", "proximity", "attribute", "attributeRank", "wordPosition", "sort",
    "exactness",
)  # fmt: skip
_CUSTOM: Final = re.compile(r"(.*):(asc|desc)\Z", re.DOTALL)
_RESERVED: Final = ("_geo", "_geojson", "_geoDistance", "_geoPoint", "_geoRadius",
                    "_geoBoundingBox", "_geoPolygon")  # fmt: skip
_RESERVED_CALLS: Final = ("_geoRadius(", "_geoBoundingBox(", "_geo(", "_geoDistance(")
_MIXED: Final = (
    "Mixed usage of the attribute, attributeRank, and wordPosition ranking rules. You must either "
    "use the attribute ranking rule alone or the attributeRank and wordPosition ranking rules."
)


def ranking_rule(value: object, place: Place) -> str:
    """Accept a ranking rule: a named one, `field:asc` or `field:desc`."""
    text = string(value, place)
    if text in _NAMED:
        return text
    if not (match := _CUSTOM.match(text)):
        raise place.invalid(
            f"`{text}` ranking rule is invalid. Valid ranking rules are words, typo, sort, "
            "proximity, attribute, exactness and custom ranking rules."
        )
    field = match[1]
    if field.startswith("_geoPoint(") or field == "_geoPoint":
        raise place.invalid(_reserved("_geoPoint", "sorting"))
    for name in ("_geoRadius", "_geoBoundingBox"):
        if field == name or field.startswith(f"{name}("):
            raise place.invalid(_reserved(name, "filtering"))
    if field in _RESERVED or field.startswith(_RESERVED_CALLS):
        raise place.invalid(_reserved(field))
    return text


def _reserved(name: str, only_for: str = "") -> str:
    sentence = f"`{name}` is a reserved keyword and thus can't be used as a ranking rule"
    if not only_for:
        return sentence
    return f"{sentence}. `{name}` can only be used for {only_for} at search time"


def require_unmixed(rules: list[str]) -> None:
    """
    Refuse `attribute` next to its two halves.

    Raises:
        ApiError: `invalid_settings_ranking_rules`.
    """
    if "attribute" in rules and {"attributeRank", "wordPosition"} & set(rules):
        raise ApiError("invalid_settings_ranking_rules", _MIXED)

"""
Facet search: values of one facet that begin with a text, with typos as in searches.

Only strings are found; they are compared by their lossily normalised form (no case, no accents).
Hits keep dictionary order, or come by descending count, as `sortFacetValuesBy` says.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from pyroaring import BitMap

from miroir.node.engine.derive import prefix_distance
from miroir.node.engine.facet_index import spelling
from miroir.node.engine.facets import facet_order
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.store import IndexStore
from miroir.node.engine.tokenize import normalize, normalize_swedish
from miroir.node.errors import ApiError

_CODE: Final = "invalid_facet_search_facet_name"


def search_values(
    store: IndexStore,
    path: str,
    text: str | None,
    candidates: BitMap,
    locales: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return `{"value", "count"}` of the values found among the candidates."""
    values, normalized_text = store.facets.field(path), normalize
    if store.languages.is_swedish(path, locales):
        normalized_text = normalize_swedish
    wanted = None if text is None else normalized_text(text)
    maximum = store.settings.values_per_facet_max
    by_count = facet_order(store.settings, path) == "count"
    found: list[tuple[str, int]] = []
    for normalized in _in_order(values.strings, wanted, normalized_text):
        if wanted is not None and not _begins(store, path, normalized_text(normalized), wanted):
            continue
        documents = values.strings[normalized]
        count = documents.intersection_cardinality(candidates)
        if count:
            first = store.contents[documents.min()]
            found.append((spelling(first, path, normalized), count))
            if not by_count and len(found) >= maximum:
                break
    if by_count:
        found.sort(key=lambda hit: (hit[1], hit[0]), reverse=True)
    return [{"value": value, "count": count} for value, count in found[:maximum]]


def check_facet(settings: IndexSettings, path: str) -> None:
    """Refuse facet search where it is switched off."""
    if not settings.facet_search:
        message = "The facet search is disabled for this index"
        raise ApiError("facet_search_disabled", message)
    found = settings.filterable_rule(path)
    if found is None:
        raise ApiError(_CODE, _no_rule(settings, path))
    number, rule = found
    if not rule.facet_search:
        message = (
            f"Attribute `{path}` is not facet-searchable. Note: this attribute matches rule "
            f"#{number} in filterableAttributes, but this rule does not enable facetSearch.\n"
            f'Hint: enable facetSearch in rule #{number} by adding `"facetSearch": true` to '
            f"the rule.\nHint: prepend another rule matching {path} with facetSearch: true "
            f"before rule #{number}"
        )
        raise ApiError(_CODE, message)


def _no_rule(settings: IndexSettings, path: str) -> str:
    every = settings.filterable_patterns(lambda rule: rule.facet_search)
    patterns, some_hidden = settings.without_hidden(every)
    if patterns:
        hidden = ", <..hidden-attributes>" if some_hidden else ""
        known = (
            f"Available facet-searchable attributes patterns are: `{', '.join(patterns)}{hidden}`."
        )
    else:
        known = "This index does not have configured facet-searchable attributes."
    return (
        f"Attribute `{path}` is not facet-searchable. {known} To make it facet-searchable add it "
        "to the `filterableAttributes` index settings."
    )


def _in_order(
    strings: Iterable[str], wanted: str | None, normalized: Callable[[str], str]
) -> list[str]:
    """Return the values in dictionary order: of what is compared, then of what is kept."""
    if wanted is None:
        return sorted(strings)
    return sorted(strings, key=lambda text: (normalized(text), text))


def _begins(store: IndexStore, path: str, value: str, wanted: str) -> bool:
    """Tell whether a value begins with the wanted text, typos allowed as the settings say."""
    typos = store.typos
    if not typos.enabled or store.inverted.searchable.is_exact(path):
        return value.startswith(wanted)
    if wanted in typos.exact_words:
        return value == wanted
    size = len(wanted.encode())
    allowed = 0 if size < typos.one_min else 1 if size < typos.two_min else 2
    if allowed == 0 or value.startswith(wanted):
        return value.startswith(wanted)
    return prefix_distance(wanted, value, allowed) <= allowed

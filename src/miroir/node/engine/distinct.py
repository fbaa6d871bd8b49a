"""
Distinct: at most one document per value of a field.

The field is the query's, which must be filterable, or the setting's. Documents without the field
are all kept; one with several values shuts out all that share any of them.
"""

from pyroaring import BitMap

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.ranking import SameValue
from miroir.node.engine.store import IndexStore


def check_distinct(field: str | None, settings: IndexSettings) -> None:
    """Refuse a query's distinct field that is not filterable."""
    if field is None or settings.is_filterable(field):
        return
    found = settings.filterable_rule(field)
    if found is not None:
        number = found[0]
        rest = (
            f"Note: this attribute matches rule #{number} in filterableAttributes, but this rule "
            f"does not enable filtering.\nHint: enable filtering in rule #{number} by adding "
            f"appropriate filter features.\nHint: prepend another rule matching {field} with "
            f"filter features before rule #{number}"
        )
    else:
        rest = _available(settings)
    raise EvaluationError(
        "invalid_search_distinct",
        f"Attribute `{field}` is not filterable and thus, cannot be used as distinct attribute. "
        + rest,
    )


def same_value_of(store: IndexStore, field: str | None) -> SameValue | None:
    """Return the function from a document to all that share a value; None without a field."""
    path = store.settings.distinct if field is None else field
    if path is None:
        return None
    values = store.facets.field(path)

    def same_value(document: int) -> BitMap:
        found = [values.documents(value) for value in values.of.get(document, ())]
        return BitMap.union(*found) if found else BitMap()

    return same_value


def one_per_value(documents: BitMap, same_value: SameValue) -> BitMap:
    """Return the documents without those that share a value with an earlier one."""
    kept, excluded = BitMap(), BitMap()
    for document in documents:
        if document not in excluded:
            excluded |= same_value(document)
            kept.add(document)
    return kept


def _available(settings: IndexSettings) -> str:
    every = settings.filterable_patterns(lambda rule: rule.is_filterable)
    patterns, some_hidden = settings.without_hidden(every)
    if not patterns:
        return "This index does not have configured filterable attributes."
    hidden = ", <..hidden-attributes>" if some_hidden else ""
    return f"Available filterable attributes patterns are: `{', '.join(patterns)}{hidden}`."

"""
`attributesToSearchOn`: names and patterns of a query to numbers of searched fields.

An attribute that the settings do not list is an error, unless all fields are searched; one that
is listed but in no document yet restricts to nothing. `*` lifts the restriction, but other names
are still checked.
"""

from collections.abc import Sequence

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.fields import matches_pattern
from miroir.node.engine.index_settings import IndexSettings
from miroir.node.engine.inverted import InvertedIndex


def restricted_fields(
    wanted: Sequence[str] | None, index: InvertedIndex, settings: IndexSettings
) -> frozenset[int] | None:
    """Return the fields to search, None for all; EvaluationError for one not searchable."""
    if wanted is None:
        return None
    numbers: set[int] = set()
    for name in wanted:
        if name != "*":
            numbers |= _numbers(name, index, settings)
    return None if "*" in wanted else frozenset(numbers)


def _numbers(name: str, index: InvertedIndex, settings: IndexSettings) -> set[int]:
    field = index.field_of(name)
    if field is not None:
        return {field.number}
    if "*" in name:
        matching = {f.number for f in index.fields if matches_pattern(name, f.path)}
        if matching:
            return matching
    listed = index.searchable.listed
    if listed is None or name in listed:
        return set()
    names, some_hidden = settings.without_hidden(f.path for f in index.fields)
    hidden = ", <..hidden-attributes>" if some_hidden else ""
    raise EvaluationError(
        "invalid_search_attributes_to_search_on",
        f"Attribute `{name}` is not searchable. Available searchable attributes are: "
        f"`{', '.join(names)}{hidden}`.",
    )

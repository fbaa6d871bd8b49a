"""
Hits as clients see them: fields chosen, `_formatted`, `_matchesPosition`, `_geoDistance`, scores.

Fields are chosen by name or path (`a.b` keeps only that part of `a`); what `displayedAttributes`
hides is never shown. Key order: document fields, then the computed ones in Meilisearch's order.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from miroir.node.engine.facet_index import geo_point
from miroir.node.engine.fields import covers
from miroir.node.engine.formatting import Format, Style, TextFormatter
from miroir.node.engine.matches import MatchingWords
from miroir.node.engine.ranking import RankedDocument
from miroir.node.engine.scores import global_score, shown
from miroir.node.engine.sorting import distance_m
from miroir.node.engine.store import Document, IndexStore
from miroir.node.engine.types import SearchQuery

_VECTORS: Final = "_vectors"
_GEO_POINT: Final = re.compile(r"_geoPoint\(\s*([\d.\-]+)\s*,\s*([\d.\-]+)\s*\)")


class HitMaker:
    """Makes the hits of one search."""

    def __init__(self, store: IndexStore, query: SearchQuery, words: MatchingWords) -> None:
        self._store = store
        self._query = query
        self._displayed = self._displayed_paths()
        self._retrieved = self._retrieved_paths()
        self._formats = self._chosen_formats()
        self._target = _geo_target(query.sort or ())
        style = Style(query.highlight_pre_tag, query.highlight_post_tag, query.crop_marker)
        self._formatter = TextFormatter(words, store.display_tokenizer, style)

    def hit(self, ranked: RankedDocument) -> dict[str, Any]:
        """Return one hit."""
        query = self._query
        document = self._store.contents[ranked.document]
        hit = self._chosen(document, self._retrieved)
        hit.pop(_VECTORS, None)
        if query.retrieve_vectors and not self._hides_vectors():
            hit[_VECTORS] = document.get(_VECTORS, {})
        if self._target is not None:
            point = geo_point(hit.get("_geo"))
            if point is not None:
                hit["_geoDistance"] = int(distance_m(self._target, point) + 0.5)
        extra: dict[str, Any] = {}
        if self._formats or query.show_matches_position:
            formatted, positions = self._format(document)
            if self._formats:
                extra["_formatted"] = formatted
            if query.show_matches_position:
                extra["_matchesPosition"] = positions
        if query.show_ranking_score:
            extra["_rankingScore"] = global_score(ranked.details)
        if query.show_ranking_score_details:
            extra["_rankingScoreDetails"] = shown(ranked.details)
        return {**hit, **extra}

    def unshown(self, ranked: RankedDocument, paths: Iterable[str]) -> dict[str, Any]:
        """Return those of the fields that hits do not show."""
        if self._retrieved is None:
            return {}
        hidden = set(paths) - set(self._retrieved)
        return select(self._store.contents[ranked.document], hidden)

    def _hides_vectors(self) -> bool:
        """Tell whether vectors are hidden; a list that names them hides them, oddly."""
        displayed = self._store.settings.displayed
        if displayed is None:
            return False
        return (_VECTORS in displayed) == self._store.knows(_VECTORS)

    def _displayed_paths(self) -> tuple[str, ...] | None:
        displayed = self._store.settings.displayed
        if displayed is None:
            return None
        return tuple(path for path in displayed if self._store.knows(path))

    def _retrieved_paths(self) -> tuple[str, ...] | None:
        """Return the paths to show; None for whole documents."""
        wanted = self._query.attributes_to_retrieve
        if wanted is None or "*" in wanted:
            return self._displayed
        if self._displayed is None:
            return tuple(wanted)
        return tuple(path for path in wanted if path in self._displayed)

    def _chosen_formats(self) -> dict[str, Format]:
        """Return how each asked field is formatted; empty if none of them can be."""
        formats: dict[str, Format] = {}
        for attribute in self._query.attributes_to_highlight or ():
            for path in self._named(attribute):
                formats[path] = Format(highlight=True)
        for attribute in self._query.attributes_to_crop or ():
            name, length = _crop_of(attribute, self._query.crop_length)
            for path in self._named(name):
                known = formats.get(path, Format())
                formats[path] = Format(known.highlight, length)
        return formats

    def _named(self, attribute: str) -> Iterable[str]:
        if attribute == "*":
            return ("*",) if self._displayed is None else self._displayed
        is_shown = self._displayed is None or attribute in self._displayed
        return (attribute,) if is_shown and self._store.knows(attribute) else ()

    def _format(self, document: Document) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        positions: dict[str, list[Any]] = {}

        def leaf(path: str, indices: tuple[int, ...], value: Any) -> Any:
            text = _as_text(value)
            if text is None:
                return value
            swedish = self._store.languages.shows_swedish(self._query.locales, path)
            if self._query.show_matches_position:
                found = self._formatter.positions(text, indices, swedish=swedish)
                if found:  # of the values of a list, the last one with matches counts
                    positions[path] = found
            return self._formatter.formatted(text, self._format_of(path), swedish=swedish)

        shown_part = self._chosen(document, self._displayed)
        if _VECTORS in shown_part:
            shown_part[_VECTORS] = self._store.vectors.foreign(shown_part[_VECTORS])
            if not shown_part[_VECTORS]:
                del shown_part[_VECTORS]
        mapped = _map_leaves(shown_part, leaf)
        paths: tuple[str, ...] | None = None
        if "*" not in self._formats:
            kept = self._retrieved
            paths = None if kept is None else (*self._formats, *kept)
        formatted = mapped if paths is None else select(mapped, paths)
        if not self._query.retrieve_vectors and not self._asks_for_vectors():
            formatted.pop(_VECTORS, None)
        return formatted, {p: positions[p] for p in sorted(positions)}

    def _asks_for_vectors(self) -> bool:
        return _VECTORS in self._formats

    def _format_of(self, path: str) -> Format:
        """Merge the formats of all asked fields that are this one, above it or below it."""
        how = Format()
        for name, wanted in self._formats.items():
            if name == "*" or covers(name, path) or covers(path, name):
                how = how.merged(wanted)
        return how

    def _chosen(self, document: Document, paths: Sequence[str] | None) -> dict[str, Any]:
        return dict(document) if paths is None else select(document, paths)


def select(document: dict[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return the parts of a document that the paths name; lists keep what has any of it."""
    wanted = set(paths)
    chosen: dict[str, Any] = {}
    for key, value in document.items():
        if key in wanted:
            chosen[key] = value
            continue
        below = {path[len(key) + 1 :] for path in wanted if path.startswith(key + ".")}
        if not below:
            continue
        if isinstance(value, dict):
            chosen[key] = select(value, below)
        elif isinstance(value, list):
            chosen[key] = _select_items(value, below)
    return chosen


def _select_items(values: list[Any], below: set[str]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if isinstance(value, list):
            kept.append(_select_items(value, below))
        elif isinstance(value, dict) and (inner := select(value, below)):
            kept.append(inner)
    return kept


Leaf = Callable[[str, tuple[int, ...], Any], Any]


def _map_leaves(value: Any, leaf: Leaf, path: str = "", indices: tuple[int, ...] = ()) -> Any:
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        return {k: _map_leaves(v, leaf, prefix + k, indices) for k, v in value.items()}
    if isinstance(value, list):
        return [_map_leaves(v, leaf, path, (*indices, at)) for at, v in enumerate(value)]
    return leaf(path, indices, value)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return None


def _crop_of(attribute: str, default: int) -> tuple[str, int]:
    name, colon, length = attribute.rpartition(":")
    if not colon:
        return attribute, default
    return name, int(length) if length.isdecimal() else default


def _geo_target(sort: Iterable[str]) -> tuple[float, float] | None:
    for expression in sort:
        found = _GEO_POINT.search(expression)
        if found is not None:
            return float(found[1]), float(found[2])
    return None

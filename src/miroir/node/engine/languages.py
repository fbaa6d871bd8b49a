"""
Which fields and queries are in Swedish, the one language whose letters this engine knows apart.

    localizedAttributes [{"attributePatterns": ["*_sv"], "locales": ["swe"]}]

The first rule that means a field tells its languages; a query has those that it names, else those
of all fields that it searches. Swedish is what has no other language beside it: between several
Meilisearch guesses from the text. How the letters differ is in `tokenize.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from miroir.node.engine.fields import matches_pattern

_SWEDISH: Final = {"swe"}
_CODES: Final = {"sv": "swe"}


class Languages:
    """The languages of the fields of one index."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._rules = [
            (tuple(rule["attributePatterns"]), frozenset(rule["locales"]))
            for rule in settings.get("localizedAttributes") or ()
        ]

    @property
    def are_known(self) -> bool:
        """Tell whether any field has a language."""
        return bool(self._rules)

    def is_swedish(self, path: str, asked: Sequence[str] | None = None) -> bool:
        """Tell whether a field is in Swedish, if it is among the languages asked for."""
        return self._of(path) == _SWEDISH and (asked is None or _known(asked) >= _SWEDISH)

    def query_is_swedish(self, asked: Sequence[str] | None, paths: Iterable[str]) -> bool:
        """Tell whether a query of some fields is in Swedish."""
        if asked is not None:
            return _known(asked) == _SWEDISH
        if not self._rules:
            return False
        return frozenset[str]().union(*map(self._of, paths)) == _SWEDISH

    def shows_swedish(self, asked: Sequence[str] | None, path: str) -> bool:
        """Tell whether a field is shown as Swedish text: as it is asked for, else as it is."""
        return self.is_swedish(path) if asked is None else _known(asked) == _SWEDISH

    def _of(self, path: str) -> frozenset[str]:
        for patterns, locales in self._rules:
            if any(matches_pattern(pattern, path) for pattern in patterns):
                return locales
        return frozenset()


def _known(locales: Sequence[str]) -> set[str]:
    return {_CODES.get(code, code) for code in locales}

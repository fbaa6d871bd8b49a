"""
Filters on vectors: `_vectors EXISTS`, `_vectors.name EXISTS`, `_vectors.name.userProvided EXISTS`.

After the name of an embedder may stand `userProvided` (vectors that stay when the document
changes), `regenerate` (vectors that do not), `documentTemplate`, or `fragments.name`, which only
embedders that this engine does not run have. An experimental feature (`multimodal`).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from pyroaring import BitMap
from rapidfuzz.distance import Levenshtein

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.filter_scanner import Scanner
from miroir.node.engine.filter_tree import Piece, Vectors
from miroir.node.engine.vectors import FIELD, VectorStore

_PART: Final = re.compile(r'\.(?:"([^"]*)"|([A-Za-z0-9_-]+))')
_KEYWORDS: Final = ("fragments", "userProvided", "documentTemplate", "regenerate")


def vector_filter(scan: Scanner) -> Vectors | None:
    """Read a filter on vectors; None, and nothing read, if there is none here."""
    start = scan.at
    if not scan.whole.startswith(FIELD, start):
        return None
    at, parts = start + len(FIELD), list[Piece]()
    while found := _PART.match(scan.whole, at):
        group = 1 if found[1] is not None else 2
        parts.append(scan.piece(found.start(group), found.end(group)))
        at = found.end()
    scan.at = at
    scan.skip_space()
    if scan.at == at or scan.phrase("EXISTS") is None:
        scan.at = start
        return None
    field = scan.piece(start, start + len(FIELD))
    embedder, what, fragment = (*parts, None, None, None)[:3]
    if what is not None and what.text not in _KEYWORDS:
        names = ", ".join(f"`{name}`" for name in _KEYWORDS)
        message = f"Was expecting one of {names} or nothing, but instead found `{what.text}`."
        scan.fail(message, what)
    return Vectors(field, embedder, what, fragment)


def matching_vectors(
    node: Vectors, vectors: VectorStore, contents: Mapping[int, Mapping[str, Any]], code: str
) -> BitMap:
    """Return the documents that a filter on vectors matches; EvaluationError for a bad name."""
    if node.embedder is None:
        return BitMap.union(BitMap(), *(found.documents() for found in vectors.of.values()))
    name = node.embedder.text
    if name not in vectors.of:
        raise EvaluationError(code, node.embedder.error(_unknown(name, sorted(vectors.of))))
    if node.what is None:
        return vectors.of[name].documents()
    if node.what.text == "fragments":
        piece = node.fragment or node.what
        message = f"The fragment `{piece.text}` does not exist on embedder `{name}`. "
        rest = "This embedder does not have any configured fragments."
        raise EvaluationError(code, piece.error(message + rest))
    if node.what.text == "documentTemplate":
        return BitMap()  # nothing is ever made from a template here
    again = node.what.text == "regenerate"
    return BitMap(n for n, content in contents.items() if _regenerates(content, name) is again)


def _regenerates(content: Mapping[str, Any], name: str) -> bool | None:
    entry = (content.get(FIELD) or {}).get(name)
    return bool(entry.get("regenerate")) if isinstance(entry, dict) else None


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return (
            f"The embedder `{name}` does not exist. This index does not have configured embedders."
        )
    shown = ", ".join(f"`{other}`" for other in known)
    near = min(known, key=lambda other: Levenshtein.distance(name, other))
    message = f"The embedder `{name}` does not exist. Available embedders are: {shown}."
    return f"{message} Did you mean `{near}`?"

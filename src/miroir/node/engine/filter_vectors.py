"""
Filters on vectors: `_vectors EXISTS`, `_vectors.name EXISTS`, `_vectors.name.userProvided EXISTS`.

After the name of an embedder may stand `userProvided` (vectors that stay when the document
changes), `regenerate` (vectors that do not), `documentTemplate`, or `fragments.name`, which only
embedders that this engine does not run have. An experimental feature (`multimodal`).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from pyroaring import BitMap
from rapidfuzz.distance import OSA

from miroir.node.engine.errors import EvaluationError
from miroir.node.engine.filter_scanner import FilterSyntaxError, Scanner
from miroir.node.engine.filter_tree import Not, Piece, Vectors
from miroir.node.engine.vectors import FIELD, VectorStore

_CONDITION: Final = re.compile(r"_vectors[\w.-]*\s*(?:[=<>]|!=|IN\b|NOT\s+IN\b|IS\s)")
_WORD: Final = re.compile(r"[\w-]+")
_KEYWORDS: Final = ("fragments", "userProvided", "documentTemplate", "regenerate")
_NAMES: Final = ", ".join(f"`{name}`" for name in _KEYWORDS)
_DISTANCE_MAX: Final = 2


def vector_filter(scan: Scanner) -> Vectors | Not | None:
    """Read a filter on vectors; None, and nothing read, if there is none here."""
    start = scan.at
    if not scan.whole.startswith(FIELD, start) or _CONDITION.match(scan.whole, start):
        return None
    after = scan.whole[start + len(FIELD) : start + len(FIELD) + 1]
    if after != "." and not after.isspace():
        return None
    field = scan.piece(start, start + len(FIELD))
    scan.at = start + len(FIELD)
    embedder = what = fragment = None
    if after == ".":
        scan.at += 1
        embedder, what, fragment = _named(scan)
        if not scan.whole[scan.at : scan.at + 1].isspace():
            scan.fail("The vector filter has leftover tokens.")
    scan.skip_space()
    found = Vectors(field, embedder, what, fragment)
    if scan.literal("EXISTS"):
        return found
    if scan.phrase("NOT", "EXISTS") is None:
        message = (
            "Was expecting an operation like `EXISTS` or `NOT EXISTS` after the vector filter."
        )
        scan.fail(message)
    return Not(found)


def _named(scan: Scanner) -> tuple[Piece, Piece | None, Piece | None]:
    """Read the name of an embedder and what may stand after it."""
    if scan.whole.startswith(" ", scan.at):
        point = scan.piece(scan.at, scan.at + 1)
        scan.fail("Was expecting embedder name but found nothing.", point)
    embedder = _value(scan, "The vector filter's embedder name is invalid.")
    what = fragment = None
    for keyword in _KEYWORDS:
        if scan.literal(f".{keyword}"):
            what = scan.piece(scan.at - len(keyword), scan.at)
            break
    if what is not None and what.text == "fragments":
        if not scan.literal("."):
            scan.fail("The vector filter is missing a fragment name.")
        fragment = _value(scan, "The vector filter's fragment name is invalid.")
    if scan.literal("."):
        _refuse_suffix(scan, what)
    return embedder, what, fragment


def _value(scan: Scanner, message: str) -> Piece:
    start = scan.at
    quote = scan.whole[start : start + 1]
    if quote in ("'", '"') and quote:
        end = scan.whole.find(quote, start + 1)
        if end < 0:
            scan.fail("The quotes in one of the values are inconsistent.")
        scan.at = end + 1
        return scan.piece(start + 1, end)
    found = _WORD.match(scan.whole, start)
    if found is None:
        scan.fail(message)
    scan.at = found.end()
    return scan.piece(start, found.end())


def _refuse_suffix(scan: Scanner, what: Piece | None) -> NoReturn:
    point = scan.piece(scan.at - 1, scan.at)
    try:
        value = _value(scan, "")
    except FilterSyntaxError:
        dotted = ", ".join(f"`.{name}`" for name in _KEYWORDS)
        message = f"Was expecting one of {dotted} or nothing, but instead found a point without "
        scan.fail(f"{message}a valid value.", point)
    if what is not None:
        names = f"{_NAMES.rpartition(', ')[0]} or `{_KEYWORDS[-1]}`"
        message = f"Vector filter can only accept one of {names}"
        scan.fail(f"{message}, but found both `{what.text}` and `{value.text}`.", value)
    if value.text in _KEYWORDS:
        scan.fail("Was expecting this part to be unquoted.", value)
    message = f"Was expecting one of {_NAMES} or nothing, but instead found `{value.text}`."
    scan.fail(message + _did_you_mean(value.text, _KEYWORDS), value)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    for other in known:
        if OSA.distance(name, other) <= _DISTANCE_MAX:
            return f" Did you mean `{other}`?"
    return ""


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
        piece = node.fragment
        assert piece is not None, "the grammar wants a name"
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
    message = f"The embedder `{name}` does not exist. Available embedders are: {shown}."
    return message + _did_you_mean(name, known)

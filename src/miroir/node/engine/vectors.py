"""
Vectors of documents, and exact nearest neighbours among them.

    similarity = (1 + cosine) / 2, in 0..1; of several vectors of a document the nearest counts

Arithmetic is that of single precision, as in Meilisearch, so that scores are equal to the last
digit; long vectors are summed in double precision and rounded once. A vector of zeros is as near
as can be to everything. A quantized embedder keeps only the signs. Every vector is compared: no
neighbour is ever missed, and a search takes time in proportion to their number.

Documents bring their vectors as `_vectors.<embedder>.embeddings`, already checked
(`documents/vectors.py`); embedding text is nobody's business here.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from struct import Struct
from typing import Any, Final, TypeAlias

from pyroaring import BitMap

Vector: TypeAlias = "array[float]"
FIELD: Final = "_vectors"
_SINGLE: Final = Struct("f")
_EXACT_DIMENSIONS_MAX: Final = 15  # above, Meilisearch adds up in an order of its own
_WORD_BITS: Final = 64
_EPSILON: Final = 2.0**-23
"""What Meilisearch shows for none at all: the least step of its numbers."""


def single(number: float) -> float:
    """Return the nearest number of single precision; infinity beyond its range."""
    try:
        return float(_SINGLE.unpack(_SINGLE.pack(number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def quantized(vector: Iterable[float]) -> list[float]:
    """Return which numbers of a vector are positive: 1 or 0, as clients see it."""
    return [1.0 if number > 0 else 0.0 for number in vector]


@dataclass(frozen=True, slots=True)
class Shift:
    """Spreads similarities that lie close together (the field `distribution`)."""

    mean: float
    sigma: float

    def __call__(self, similarity: float) -> float:
        """Return the similarity as if they had mean 0.5 and deviation 0.4."""
        factor = single(single(0.4) / single(self.sigma))
        offset = single(0.5 - single(factor * single(self.mean)))
        shifted = single(single(factor * similarity) + offset)
        return min(shifted, 1.0) if shifted > 0 else _EPSILON


class Embeddings:
    """All vectors of one embedder."""

    def __init__(self, embedder: Mapping[str, Any]) -> None:
        self.is_quantized = bool(embedder.get("binaryQuantized"))
        self.dimensions: int | None = embedder.get("dimensions")
        shift = embedder.get("distribution")
        self._shift = Shift(shift["mean"], shift["sigma"]) if shift else None
        self._of: dict[int, list[tuple[Vector, float]]] = {}

    def put(self, document: int, vectors: Sequence[Sequence[float]]) -> None:
        """Set the vectors of a document."""
        held = [self._held(vector) for vector in vectors]
        if held:
            self._of[document] = [(vector, _norm(vector)) for vector in held]
        else:
            self._of.pop(document, None)

    def remove(self, document: int) -> None:
        """Forget the vectors of a document, if it has any."""
        self._of.pop(document, None)

    def count(self) -> int:
        """Return the number of vectors."""
        return sum(map(len, self._of.values()))

    def documents(self) -> BitMap:
        """Return the documents that have a vector."""
        return BitMap(self._of)

    def vectors(self, document: int) -> list[Vector]:
        """Return the vectors of a document as they are compared."""
        return [vector for vector, _ in self._of.get(document, ())]

    def _held(self, vector: Sequence[float]) -> Vector:
        """Return a vector as it is compared; signs fill whole words of bits."""
        if not self.is_quantized:
            return array("f", map(single, vector))
        signs = [1.0 if number > 0 else -1.0 for number in vector]
        return array("f", [*signs, *[-1.0] * (-len(signs) % _WORD_BITS)])

    def nearest(self, target: Sequence[float], among: BitMap) -> Iterator[tuple[float, BitMap]]:
        """Yield similarities, greatest first, each with the documents that have it."""
        wanted = self._held(target)
        norm = _norm(wanted)
        found: dict[float, list[int]] = {}
        for document, vectors in self._of.items():
            if document in among:
                near = min(_distance(wanted, norm, vector, other) for vector, other in vectors)
                found.setdefault(near, []).append(document)
        for distance in sorted(found):
            similarity = single(1.0 - distance)
            shown = similarity if self._shift is None else self._shift(similarity)
            yield shown, BitMap(found[distance])


class VectorStore:
    """The embeddings of an index by the name of their embedder."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        embedders = settings.get("embedders") or {}
        self.of = {name: Embeddings(embedder) for name, embedder in embedders.items()}

    def put(self, document: int, content: Mapping[str, Any]) -> None:
        """Take the vectors of a document."""
        given = content.get(FIELD) if self.of else None
        for name, embeddings in self.of.items():
            entry = given.get(name) if isinstance(given, dict) else None
            vectors = entry.get("embeddings") if isinstance(entry, dict) else None
            embeddings.put(document, vectors or ())

    def remove(self, document: int) -> None:
        """Forget the vectors of a document."""
        for embeddings in self.of.values():
            embeddings.remove(document)

    def foreign(self, given: Any) -> Any:
        """Return what a document says of vectors that are none of these embedders'."""
        if not isinstance(given, dict):
            return given
        return {name: entry for name, entry in given.items() if name not in self.of}


def _norm(vector: Vector) -> float:
    return single(math.sqrt(_dot(vector, vector)))


def _distance(one: Vector, norm: float, other: Vector, other_norm: float) -> float:
    both = single(norm * other_norm)
    if not both > _EPSILON or len(one) != len(other):
        return 0.0
    cosine = single(_dot(one, other) / both)
    return single(single(1.0 - max(-1.0, min(1.0, cosine))) / 2)


def _dot(one: Vector, other: Vector) -> float:
    if len(one) > _EXACT_DIMENSIONS_MAX:
        return single(sum(map(mul, one, other)))
    total = 0.0
    for left, right in zip(one, other, strict=False):
        total = single(total + single(left * right))
    return total

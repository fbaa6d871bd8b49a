"""Vectors: exact neighbours, in the arithmetic of single precision."""

import math

from hypothesis import given, strategies as st
from pyroaring import BitMap

from miroir.node.engine.vectors import Embeddings, Shift, single

NUMBERS = st.integers(-9, 9).map(float)
VECTORS = st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=12)


def cosine(one: list[float], other: list[float]) -> float:
    norms = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / norms if norms > 1e-3 else 1.0


@given(VECTORS, st.lists(NUMBERS, min_size=3, max_size=3))
def test_the_nearest_are_the_nearest(vectors: list[list[float]], target: list[float]):
    """A neighbour that is missed is a result that a user never sees."""
    embeddings = Embeddings({"dimensions": 3})
    for number, vector in enumerate(vectors):
        embeddings.put(number, [vector])
    found = list(embeddings.nearest(target, BitMap(range(len(vectors)))))
    assert sorted(n for _, documents in found for n in documents) == list(range(len(vectors)))
    assert [similarity for similarity, _ in found] == sorted((s for s, _ in found), reverse=True)
    for similarity, documents in found:
        for number in documents:
            wanted = (1 + cosine(target, vectors[number])) / 2
            assert math.isclose(similarity, wanted, abs_tol=1e-3)
            assert similarity == single(similarity)


def test_of_several_vectors_the_nearest_counts():
    """A document with a picture and a text is found by either."""
    embeddings = Embeddings({"dimensions": 2})
    embeddings.put(1, [[0, 1], [1, 0]])
    embeddings.put(2, [[1, 1]])
    assert [list(d) for _, d in embeddings.nearest([1, 0], BitMap([1, 2]))] == [[1], [2]]
    assert (embeddings.count(), list(embeddings.documents())) == (3, [1, 2])


def test_only_the_asked_documents_are_compared():
    """A filter narrows a search by vector as any other."""
    embeddings = Embeddings({"dimensions": 2})
    for number in range(5):
        embeddings.put(number, [[1, number]])
    assert [list(d) for _, d in embeddings.nearest([1, 0], BitMap([3, 4]))] == [[3], [4]]


def test_what_a_distribution_makes_nothing_of_is_shown_in_single_precision():
    """Clients compare scores of several answers: one that is rounded otherwise is another one."""
    assert Shift(0.9, 0.01)(0.1) == 1.1920928955078125e-07

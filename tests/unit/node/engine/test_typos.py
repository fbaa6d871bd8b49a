"""Words found by typo, against the definition of the distance computed the slow way."""

from itertools import product

import pytest
from rapidfuzz.distance import OSA

from miroir.node.engine.derive import typo_words
from miroir.node.engine.inverted import Dictionary

WORDS = sorted({"".join(letters) for size in (3, 4, 5) for letters in product("abc", repeat=size)})


def slow(word: str, *, prefix: bool) -> dict[str, int]:
    """Return the typos of every word by definition: another first letter makes one two."""
    distances: dict[str, int] = {}
    for candidate in WORDS:
        sizes = range(len(candidate) + 1) if prefix else [len(candidate)]
        distance = min(int(OSA.distance(word, candidate[:size])) for size in sizes)
        if distance and candidate[0] != word[0]:
            distance = 2 if distance == 1 else 3
        if distance <= 2:
            distances[candidate] = distance
    return distances


@pytest.mark.parametrize("prefix", [False, True])
@pytest.mark.parametrize("word", ["abcab", "aabb", "cab", "bbbbb"])
def test_typos_are_those_of_the_definition(word: str, prefix: bool):
    """The fast way through groups of prefixes must not lose or invent a word."""
    expected = slow(word, prefix=prefix)
    one, two = typo_words(Dictionary(WORDS), word, typos_max=2, prefix=prefix)
    ones = sorted(w for w, d in expected.items() if d == 1)
    twos = sorted(w for w, d in expected.items() if d == 2)
    assert one == frozenset(ones[:150])
    assert two == frozenset(twos[:50])


def test_one_typo_keeps_the_first_letter():
    """`berlin` is not one typo from `merlin`: the first letter counts double."""
    dictionary = Dictionary(["berlin", "merlin", "merlyn"])
    assert typo_words(dictionary, "merlin", typos_max=1, prefix=False)[0] == {"merlyn"}
    assert typo_words(dictionary, "merlin", typos_max=0, prefix=False) == (set(), set())

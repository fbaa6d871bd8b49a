"""
Derivations: which words of an index a typed word may mean.

Distance is optimal string alignment (a transposition is one typo); for a prefix, the smallest
distance to any beginning of the candidate. The first letter counts double: a word that begins
with another letter is two typos away at distance one, and never nearer. Caps as in Meilisearch:
150 words at one typo, 50 at two, in dictionary order.

Pure functions of a dictionary; which typos are allowed is decided by the caller.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from miroir.node.engine.inverted import Dictionary

ONE_TYPO_MAX: Final = 150
TWO_TYPOS_MAX: Final = 50


def typo_words(
    dictionary: Dictionary, word: str, *, typos_max: int, prefix: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words one typo and two typos away from `word`."""
    if typos_max == 0 or not word:
        return frozenset(), frozenset()
    same = dictionary.with_prefix(word[0])
    if prefix:
        distances = _prefix_distances(same, word, typos_max)
    else:
        distances = _distances(same, word, typos_max)
    one = sorted(w for w, d in distances.items() if d == 1)[:ONE_TYPO_MAX]
    if typos_max == 1:
        return frozenset(one), frozenset()
    two = {w for w, d in distances.items() if d == 2}
    two.update(_other_first_letter(dictionary, word, prefix=prefix))
    return frozenset(one), frozenset(sorted(two)[:TWO_TYPOS_MAX])


def _distances(words: list[str], word: str, typos_max: int) -> dict[str, int]:
    length = len(word)
    near = [w for w in words if abs(len(w) - length) <= typos_max]
    return {w: int(d) for w, d, _ in _extract(word, near, typos_max) if d}


def _prefix_distances(words: list[str], word: str, typos_max: int) -> dict[str, int]:
    """Return the distance to the nearest beginning; words that begin with `word` are left out."""
    length = len(word)
    beginnings = {
        w[:size]
        for w in words
        for size in range(max(length - typos_max, 1), min(len(w), length + typos_max) + 1)
    }
    found: dict[str, int] = {}
    for beginning, distance, _ in _extract(word, sorted(beginnings), typos_max):
        first = bisect_left(words, beginning)
        for at in range(first, len(words)):
            candidate = words[at]
            if not candidate.startswith(beginning):
                break
            if distance < found.get(candidate, typos_max + 1):
                found[candidate] = int(distance)
    return {w: d for w, d in found.items() if d}


def _extract(word: str, choices: list[str], cutoff: int) -> Iterable[tuple[str, float, int]]:
    return process.extract_iter(word, choices, scorer=OSA.distance, score_cutoff=cutoff)


def _other_first_letter(dictionary: Dictionary, word: str, *, prefix: bool) -> Iterator[str]:
    """Yield words at distance one whose only difference is the first letter."""
    rest = word[1:]
    spellings = {letter + rest for letter in dictionary.first_letters if letter != word[0]}
    spellings |= {letter + word for letter in dictionary.first_letters if letter != word[0]}
    if rest and rest[0] != word[0]:
        spellings.add(rest)
        spellings.add(rest[0] + word[0] + rest[1:])
    for spelling in spellings:
        if prefix:
            yield from dictionary.with_prefix(spelling)
        elif _contains(dictionary.words, spelling):
            yield spelling


def _contains(words: list[str], word: str) -> bool:
    at = bisect_left(words, word)
    return at < len(words) and words[at] == word


def prefix_distance(word: str, text: str, cutoff: int) -> int:
    """Return the distance of `word` to the nearest beginning of `text`, or more than `cutoff`."""
    first = max(len(word) - cutoff, 0)
    last = min(len(text), len(word) + cutoff)
    found = (
        int(OSA.distance(word, text[:size], score_cutoff=cutoff))
        for size in range(first, last + 1)
    )
    return min(found, default=cutoff + 1)

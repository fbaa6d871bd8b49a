"""
The loop over ranking rules: buckets in buckets, best documents first, no further than asked.

Every rule splits a bucket; the next rule splits what came out; a bucket that no rule is left for
is a group of equals, returned in the order of internal document numbers. As in Meilisearch,
`distinct` is applied to each final group and then to all that comes after, and documents under the
score threshold leave the candidates as far as the loop got.

Which rules there are is decided in `search.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pyroaring import BitMap

from miroir.node.engine.quirks import mingled
from miroir.node.engine.rules import Bucket, Rule, all_documents
from miroir.node.engine.scores import SKIPPED, Detail, global_score

SameValue = Callable[[int], BitMap]


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """One result: internal number and what each rule said."""

    document: int
    details: tuple[Detail, ...]


@dataclass(slots=True)
class Ranking:
    """The state of one loop; read `ranked` and `candidates` when `run` has returned."""

    rules: Sequence[Rule]
    offset: int
    limit: int
    same_value: SameValue | None = None
    threshold: float | None = None
    evaluate_max: int | None = None
    quirks: bool = False
    has_time: bool = True
    ranked: list[RankedDocument] = field(default_factory=list)
    candidates: BitMap = field(default_factory=BitMap)
    _excluded: BitMap = field(default_factory=BitMap)
    _passed: int = 0

    def run(self, universe: BitMap, bucket: Bucket) -> None:
        """Rank the bucket; `universe` is all that matches."""
        self.candidates = BitMap(universe)
        if not universe or self._is_done():
            return
        if not self.rules and self.same_value is None:
            self._take(universe, ())
            return
        if not self.rules:
            self._one_by_one(universe)
            return
        if not self.has_time:
            self._skip(universe)
            return
        self._descend(0, bucket, ())

    def _skip(self, universe: BitMap) -> None:
        """Take everything as it comes: no rule has the time to look at it."""
        if self.threshold is not None and global_score((SKIPPED,)) < self.threshold:
            self.candidates = BitMap()
        else:
            self._take(universe, (SKIPPED,))

    def _one_by_one(self, universe: BitMap) -> None:
        """Take documents in their order, without ever looking further than the page."""
        assert self.same_value is not None, "only distinct makes single steps necessary"
        taken: list[int] = []
        for document in universe:
            if len(taken) >= self.offset + self.limit:
                break
            if document not in self._excluded:
                self._excluded |= self.same_value(document)
                taken.append(document)
        self.candidates = (universe - self._excluded) | BitMap(taken)
        self.ranked = [RankedDocument(document, ()) for document in taken[self.offset :]]

    def _descend(self, depth: int, bucket: Bucket, details: tuple[Detail, ...]) -> None:
        left = BitMap(all_documents(bucket))
        for detail, found in self.rules[depth].split(bucket):
            if self._is_done():
                return
            reached = (*details, detail)
            if self.quirks:
                found = mingled(found)  # noqa: PLW2901  the rules below see the mingled bucket
            documents = all_documents(found)
            left -= documents
            if self.threshold is not None and global_score(reached) < self.threshold:
                self.candidates -= documents | left
                return
            remaining = documents - self._excluded if self._excluded else documents
            is_last = depth + 1 == len(self.rules)
            if is_last or self._passed + len(remaining) < self.offset:
                self._take(remaining, reached)
            elif remaining:
                self._descend(depth + 1, found, reached)

    def _take(self, documents: BitMap, details: tuple[Detail, ...]) -> None:
        if self.same_value is not None:
            documents = self._distinct(documents)
        if not documents:
            return
        first = max(self.offset - self._passed, 0)
        room = self.limit - len(self.ranked)
        if first < len(documents) and room > 0:
            for document in documents[first : first + room]:
                self.ranked.append(RankedDocument(document, details))
        self._passed += len(documents)

    def _distinct(self, documents: BitMap) -> BitMap:
        """Keep one document per value, and shut out all others with it."""
        assert self.same_value is not None, "asked only when there is a distinct field"
        kept = BitMap()
        excluded = BitMap()
        for document in documents:
            if document not in excluded:
                excluded |= self.same_value(document)
                kept.add(document)
        self._excluded |= excluded
        self.candidates -= excluded
        self.candidates |= kept
        return kept

    def _is_done(self) -> bool:
        wanted = self.limit if self.evaluate_max is None else self.evaluate_max
        return len(self.ranked) >= wanted

"""
What makes Meilisearch's ranking of a document depend on the other documents of its index.

Without these the ranking of this engine is a function of query, settings and document alone, so
that a cluster of such nodes answers as one node does. With them (`--quirks`) it is as wayward as
the original in two ways, so that whoever merges answers of several nodes is tested against both:

- *common prefixes*: a last word of at most four letters that begins a hundred words of the index
  is found after its neighbour, but not before it;
- *mingled readings*: the readings of a query that stay possible, and with them the greatest costs
  that scores are measured by, are those of all documents of a bucket together.

Split words and caps on numbers of words, which depend on the index too, are not imitated.
"""

from typing import Final

from miroir.node.engine.graph import Path
from miroir.node.engine.rules import Bucket, all_documents, partition, path_documents
from miroir.node.engine.terms import Slot

_PREFIX_LENGTH_MAX: Final = 4
_WORDS_MIN: Final = 100


def is_common_prefix(slot: Slot) -> bool:
    """Tell whether a term is a prefix for which Meilisearch keeps pairs in one order only."""
    term, source = slot.term, slot.source
    if not source.quirks or not term.prefix or len(term.word) > _PREFIX_LENGTH_MAX:
        return False
    found = source.index.dictionary.with_prefix(term.word)
    return sum(1 for _, _ in zip(found, range(_WORDS_MIN), strict=False)) == _WORDS_MIN


def mingled(bucket: Bucket) -> Bucket:
    """Return a bucket in which every document may have any reading that one of them has."""
    paths: dict[Path, None] = {path: None for part in bucket for path in part.paths}
    if len(bucket) < 2 or len(paths) < 2:
        return bucket
    found = [(path, path_documents(path)) for path in paths]
    return partition(all_documents(bucket), found)

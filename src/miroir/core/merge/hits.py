"""
Raw hits, cut at the tail and merged lazily.

A node writes `_rankingScore` and `_rankingScoreDetails` last, so a hit is its document and a tail:

    {"id":1,"title":"..." ,"_rankingScore":0.9 ,"_rankingScoreDetails":{...} }
    |------ document -----|------- score ------|---------- details ---------|

Only the tail is decoded, and only of hits that may get into the window: each shard's list is
already sorted, so a k-way merge looks at about window + k of them. The document stays raw bytes.

The layout is looked for, not believed: what follows the last `"_rankingScore":` must be an object
of score and details and nothing else, once a brace is put before it. (Within a JSON string the
quote would be escaped, so the bytes can only be a key; a key *inside* the document has a brace too
many behind it.) On any surprise the hit is decoded in full, once, and written anew from its raw
parts.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from miroir.core.merge.known_rules import Key
from miroir.core.merge.ranking import Details, Incomparable, Ranking, decode_details
from miroir.core.merge.ties import Tie, TieOf, tie_reader

_DETAILS: Final = b',"_rankingScoreDetails":'
_SCORE: Final = b'"_rankingScore":'
_SCORE_SIZE: Final = len(_SCORE)
_COMMA: Final = ord(",")


class _Tail(
    msgspec.Struct,
    rename={"score": "_rankingScore", "details": "_rankingScoreDetails"},
    forbid_unknown_fields=True,
    gc=False,
):
    score: float
    details: Raw


_decode_tail: Final = msgspec.json.Decoder(_Tail).decode
_object_decoder: Final = msgspec.json.Decoder(dict[str, Raw])


class Hit(msgspec.Struct, frozen=True, gc=False):
    """
    One hit in the layout above, and where its parts begin.

    A struct and not a dataclass: one is made per hit of every search.

    Attributes:
        raw: The whole hit.
        score_at: Index of `"_rankingScore"`.
    """

    raw: bytes
    score_at: int

    @property
    def details_at(self) -> int:
        """Index of the comma before `"_rankingScoreDetails"`; most answers do not need it."""
        return self.raw.rfind(_DETAILS)

    @property
    def document(self) -> bytes:
        """The document's members, without braces."""
        return self.raw[1 : max(self.score_at - 1, 1)]

    @property
    def details(self) -> bytes:
        """The member with the score details."""
        return self.raw[self.details_at + 1 : -1]

    @property
    def score(self) -> float:
        """The number after `_rankingScore`."""
        return float(self.raw[self.score_at + _SCORE_SIZE : self.details_at])

    @property
    def bare(self) -> bytes:
        """The hit without score and details."""
        return self.raw[: self.score_at - 1] + b"}" if self.score_at > 1 else b"{}"

    def with_document(self, document: bytes) -> "Hit":
        """Return the same hit with other members."""
        head = b"{%b," % document if document else b"{"
        return Hit(head + self.raw[self.score_at :], len(head))

    def body(self, *, show_score: bool, show_details: bool) -> bytes:
        """Return the hit as the client wants it."""
        raw, bare = self.raw, self.score_at == 1
        if show_score:
            return raw if show_details else raw[: self.details_at] + b"}"
        if show_details:
            head = b"{" if bare else raw[: self.score_at - 1] + b","
            return head + raw[self.details_at + 1 :]
        return self.bare


def cut(raw: bytes) -> tuple[Hit, Details]:
    """
    Return a hit in parts, and its details.

    Raises:
        Incomparable: The hit has no score details.
    """
    start = raw.rfind(_SCORE)
    if start == 1 or (start > 1 and raw[start - 1] == _COMMA):
        try:
            return Hit(raw, start), decode_details(_decode_tail(b"{" + raw[start:]).details)
        except msgspec.DecodeError:
            pass  # the key belongs to the document
    return _cut_carefully(raw)


def _cut_carefully(raw: bytes) -> tuple[Hit, Details]:
    members = _object_decoder.decode(raw)
    score = members.pop("_rankingScore", None)
    details = members.pop("_rankingScoreDetails", None)
    if score is None or details is None:
        raise Incomparable("a node sent hits without score details")
    try:
        decoded = decode_details(details)
    except msgspec.DecodeError:
        raise Incomparable("a node sent score details of an unknown shape") from None
    head = msgspec.json.encode(members)[:-1] + (b"," if members else b"")
    front = b"%b%b%b" % (head, _SCORE, bytes(score))
    return Hit(b"%b%b%b}" % (front, _DETAILS, bytes(details)), len(head)), decoded


def merge_hits(lists: Sequence[Sequence[Raw]], primary_key: str | None = None) -> Iterator[Hit]:
    """
    Yield hits in the order of one node; of equals on different shards the lower id goes first.

    Args:
        lists: The sorted hits of each shard.
        primary_key: See ties.py.

    Raises:
        Incomparable: See ranking.py; raised while iterating.
    """
    ranking, tie_of = Ranking(), tie_reader(primary_key)
    lanes = [_Lane(hits, shard, ranking, tie_of) for shard, hits in enumerate(lists)]
    heap = [(key, lane) for lane in lanes if (key := lane.advance()) is not None]
    heapq.heapify(heap)
    while heap:
        lane = heap[0][1]
        yield lane.hit
        key = lane.advance()
        if key is not None:
            heapq.heapreplace(heap, (key, lane))
        else:
            heapq.heappop(heap)


class _Lane:
    """One shard's hits, of which the first is looked at; compared where their keys are equal."""

    __slots__ = ("_ranking", "_rest", "_shard", "_tie", "_tie_of", "hit")

    def __init__(self, hits: Sequence[Raw], shard: int, ranking: Ranking, tie_of: TieOf) -> None:
        self._rest = iter(hits)
        self._shard = shard
        self._ranking = ranking
        self._tie_of = tie_of
        self.hit: Hit

    def advance(self) -> Key | None:
        """
        Look at the next hit, and return its key; None: there is no more.

        The steps of `cut` and of `Ranking.key`, but quicker where they can be.
        """
        following = next(self._rest, None)
        if following is None:
            return None
        raw = bytes(following)
        start, key = raw.rfind(_SCORE), None
        if start == 1 or (start > 1 and raw[start - 1] == _COMMA):
            key = self._ranking.read(b"{" + raw[start:])
        if key is not None:
            self.hit = Hit(raw, start)
        else:
            self.hit, details = cut(raw)
            key = self._ranking.key(details)
        self._tie: Tie | None = None
        return key

    def __lt__(self, other: "_Lane") -> bool:
        mine, others = self._tie or self._read_tie(), other._tie or other._read_tie()
        return mine < others or (mine == others and self._shard < other._shard)

    def _read_tie(self) -> Tie:
        """Note the place of the hit among equals; most hits have none, and it is not read."""
        tie = self._tie = self._tie_of(self.hit.raw)
        return tie


def merge_by_score(lists: Sequence[Sequence[Raw]]) -> Iterator[Hit]:
    """
    Yield hits by `_rankingScore` alone; ties go to the lower shard, then to the earlier hit.

    For answers that are flagged as mixing settings versions: shards that rank by different rules
    have no common order, and this one is the least surprising. Never for exact answers.

    Raises:
        Incomparable: A hit has no score.
    """
    hits = [cut(bytes(raw))[0] for hits in lists for raw in hits]
    yield from sorted(hits, key=lambda hit: -hit.score)

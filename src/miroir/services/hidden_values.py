"""
Reads what search answers hide and merging must know, and puts it into them (core/merge/hidden.py).

One more round of requests, to shards with hits alone, with the cluster's own key: only for
searches that are ordered by what is not displayed. The values are those of the moment in which
they are read, as each shard's hits are those of the moment in which it was asked.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec
import orjson
from msgspec.structs import replace

from miroir.core.merge.hidden import HiddenOf, documents_of, revealed, wanted_of
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.ports.node import NodeRequest
from miroir.services.scatter import Gathered, Scatter, Wish
from miroir.services.side_by_side import side_by_side

_JSON: Final = "application/json"


async def with_hidden_values(
    answers: Sequence[bytes],
    hidden_of: HiddenOf,
    scatter: Scatter,
    index_uid: str,
    *,
    timeout_s: float,
    only: frozenset[NodeId] | None = None,
) -> list[bytes]:
    """
    Return the answers of all shards with the values behind them.

    Args:
        answers: Of one search, in shard order.
        hidden_of: What is hidden of a hit.
        scatter: Asks the shards.
        index_uid: Where the hits are.
        timeout_s: For all of it.
        only: See `Wish.only`.

    Raises:
        NodeAnswerUnreadable: An answer is none of a search.
        Unavailable: See `Scatter.ask`.
    """

    async def with_values(shard: int, answer: bytes) -> bytes:
        wanted = wanted_of(answer, shard, hidden_of)
        if wanted is None:
            return answer
        path = f"/indexes/{quote(index_uid)}/documents/fetch"
        request = NodeRequest("POST", path, orjson.dumps(wanted), _JSON)
        gathered = await scatter.ask(
            Wish(
                IndexUid(index_uid), request, timeout_s=timeout_s, shard=ShardId(shard), only=only
            )
        )
        documents = documents_of(gathered.replies[0].body, shard, wanted["fields"][0])
        return revealed(answer, shard, documents, hidden_of)

    calls = (with_values(shard, answer) for shard, answer in enumerate(answers))
    return await side_by_side(*calls)


def with_bodies(gathered: Gathered, bodies: Sequence[bytes]) -> Gathered:
    """Return what was gathered with other bodies, in shard order."""
    pairs = zip(gathered.replies, bodies, strict=True)
    replies = tuple(replace(reply, body=body) for reply, body in pairs)
    return msgspec.structs.replace(gathered, replies=replies)

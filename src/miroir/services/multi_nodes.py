"""
Asks nodes the parts of a multi-search, and finds out what is wrong with one.

All queries of an index go to each node of one covering set in one request. If a node refuses, one
node is asked the whole request: it finds the first fault as Meilisearch does, and words it. So it
is for bodies that cannot be read. What such a node finds is never shown, only its no. Indexes that
the client's key does not open, or that Miroir does not have, are put to that node under names
that no index has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from miroir.core.merge import PROXY_HEADER, MultiSearch
from miroir.core.merge.hidden import HiddenOf
from miroir.core.merge.multi_search import with_place
from miroir.core.rights import covers
from miroir.core.topology import IndexUid, ShardId
from miroir.errors import InvalidApiKey, NoCoveringSet, NodeError, RequestRefused
from miroir.ports.node import NodeControl, NodeReply, NodeRequest
from miroir.services.cluster import Cluster
from miroir.services.hidden_values import with_bodies, with_hidden_values
from miroir.services.hybrid_searcher import lacks_feature
from miroir.services.registrar import RefusedByNode
from miroir.services.scatter import Gathered, Scatter, Wish

_JSON: Final = "application/json"
_NOWHERE: Final = "_miroir_nowhere"
_ATTEMPTS_MAX: Final = 3


@dataclass(frozen=True)
class MultiRequest:
    """
    One request as it came.

    Attributes:
        authorization: The client's own token for the nodes; None = the cluster's.
        confined: Patterns of the indexes that the key opens; None: all, or the nodes judge.
        floor: Lowest settings version of an index.
        headers: Further headers for the nodes.
    """

    body: bytes
    content_type: str | None
    authorization: str | None = field(repr=False)
    confined: tuple[str, ...] | None
    floor: Callable[[str], int | None]
    headers: Mapping[str, str]


class QueryRefused(Exception):
    """
    A node refused the queries of an index.

    Attributes:
        places: Where the client has these queries.
    """

    def __init__(self, index_uid: str, reply: NodeReply, places: Sequence[int]) -> None:
        super().__init__(index_uid)
        self.index_uid = index_uid
        self.reply = reply
        self.places = places


class MultiNodes:
    """The nodes, for multi-searches."""

    def __init__(
        self, *, scatter: Scatter, control: NodeControl, cluster: Cluster, timeout_s: float
    ) -> None:
        self._scatter = scatter
        self._control = control
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._turn = 0

    async def gather(
        self, request: MultiRequest, index_uid: str, body: Any, places: Sequence[int]
    ) -> Gathered:
        """
        Ask one covering set of an index.

        Raises:
            QueryRefused: A node said no.
            NoCoveringSet: Nodes that should have the index do not.
        """
        to_nodes = _to_nodes(request, orjson.dumps(body), _JSON)
        floor = request.floor(index_uid)
        wish = Wish(IndexUid(index_uid), to_nodes, timeout_s=self._timeout_s, floor=floor)
        for _ in range(_ATTEMPTS_MAX):
            gathered = await self._scatter.ask(wish)
            if (refusal := gathered.refusal) is None:
                return gathered
            if _code(refusal) != "index_not_found":
                raise QueryRefused(index_uid, refusal, places)
        raise NoCoveringSet(f"nodes that should have the index `{index_uid}` do not")

    async def gather_as_network(
        self, request: MultiRequest, index_uid: str, body: Any, places: Sequence[int]
    ) -> Gathered | None:
        """
        Ask one covering set as nodes ask each other; None: they answer so with a feature alone.

        Raises:
            QueryRefused: A node said no to something else.
            NoCoveringSet: See `gather`.
        """
        as_network = replace(request, headers={**request.headers, PROXY_HEADER: "true"})
        try:
            return await self.gather(as_network, index_uid, body, places)
        except QueryRefused as refused:
            if lacks_feature(refused.reply):
                return None
            raise

    async def looked_up(self, gathered: Gathered, index_uid: str, hidden_of: HiddenOf) -> Gathered:
        """
        Return what was gathered with what its hits are ordered by and do not show.

        Raises:
            Unavailable: See `Scatter.ask`.
        """
        bodies = [reply.body for reply in gathered.replies]
        found = await self.looked_up_in(bodies, index_uid, hidden_of)
        return with_bodies(gathered, found)

    async def looked_up_in(
        self, bodies: Sequence[bytes], index_uid: str, hidden_of: HiddenOf
    ) -> list[bytes]:
        """Do so for answers of one search, in shard order."""
        return await with_hidden_values(
            bodies, hidden_of, self._scatter, index_uid, timeout_s=self._timeout_s
        )

    async def judged(self, request: MultiRequest, asked: MultiSearch | None) -> NodeReply:
        """
        Return a node's no to what cannot be read, or its answer to no queries at all.

        Raises:
            RequestRefused: The node could read it.
        """
        reply = await self._anyone(_to_nodes(request, request.body, request.content_type))
        if reply.status < 400 and asked is None:
            raise RequestRefused("The queries cannot be read.")
        return reply

    async def check_indexes(self, request: MultiRequest, asked: MultiSearch) -> None:
        """
        Let a request through whose indexes are all there and open to the client's key.

        Raises:
            RefusedByNode: A node finds fault with the body, or a query before the unknown index.
            InvalidApiKey: An index is not open.
        """
        for place, query in enumerate(asked.queries):
            if request.confined is not None and not covers(request.confined, query["indexUid"]):
                reply = await self._anyone(_renamed(request))
                if _code(reply) not in {None, "index_not_found", "invalid_api_key"}:
                    raise RefusedByNode(_without_suffix(reply))
                raise InvalidApiKey(
                    f"Inside `.queries[{place}]`: The provided API key is invalid."
                )
        live = self._cluster.view.live
        if all(live(IndexUid(query["indexUid"])) is not None for query in asked.queries):
            return
        reply = await self._anyone(self._with_known(request, asked))
        assert reply.status >= 400, "a node has an index of a name that no index has"
        raise RefusedByNode(_without_suffix(reply))

    async def explained(
        self, request: MultiRequest, asked: MultiSearch, refused: QueryRefused
    ) -> RefusedByNode:
        """Return a node's no to the whole request; where it has none, its no to the part."""
        whole = self._with_known(request, asked)
        refusal = await self._judge(whole, asked, refused.index_uid)
        if refusal is not None:
            return RefusedByNode(_without_suffix(refusal))
        error = orjson.loads(refused.reply.body)
        error["message"] = with_place(error["message"], refused.places)
        return RefusedByNode(NodeReply(refused.reply.status, {}, orjson.dumps(error)))

    async def check(self, request: MultiRequest, asked: MultiSearch, index_uid: str) -> None:
        """
        Have a node look at the whole of a request, and show nothing of what it finds.

        Raises:
            RefusedByNode: It found a fault.
        """
        whole: dict[str, Any] = {"queries": asked.queries}
        if asked.federation is not None:
            whole["federation"] = {"limit": 0, **asked.federation}
        to_nodes = _to_nodes(request, orjson.dumps(whole), _JSON)
        if (refusal := await self._judge(to_nodes, asked, index_uid)) is not None:
            raise RefusedByNode(refusal)

    async def _judge(
        self, whole: NodeRequest, asked: MultiSearch, index_uid: str
    ) -> NodeReply | None:
        """
        Return a node's no to a whole request.

        A node that is up to date for every index says it: to one that is behind in any of them,
        what is right may be wrong. If there is none, one that may answer for `index_uid` does.
        """
        shard, nodes = ShardId(0), None
        view = self._cluster.view
        indexes = [view.live(IndexUid(uid)) for uid in asked.by_index]
        current = view.current(index for index in indexes if index is not None)
        columns = enumerate(view.topology.columns)
        if found := [(s, here) for s, column in columns if (here := current.intersection(column))]:
            self._turn += 1
            number, nodes = found[self._turn % len(found)]
            shard = ShardId(number)
        wish = Wish(IndexUid(index_uid), whole, timeout_s=self._timeout_s, shard=shard, only=nodes)
        return (await self._scatter.ask(wish)).refusal

    def _with_known(self, request: MultiRequest, asked: MultiSearch) -> NodeRequest:
        live = self._cluster.view.live
        if all(live(IndexUid(query["indexUid"])) is not None for query in asked.queries):
            return _to_nodes(request, request.body, request.content_type)
        return _renamed(request, lambda uid: live(IndexUid(uid)) is not None)

    async def _anyone(self, request: NodeRequest) -> NodeReply:
        view = self._cluster.view
        for node_id in view.topology.node_ids:
            if node_id not in view.healthy:
                continue
            try:
                return await self._control.forward(node_id, request)
            except NodeError:
                continue  # The health check will say so; the next node knows as well.
        raise NoCoveringSet("no node answers")


def headers_of(parts: Mapping[str, Gathered]) -> dict[str, str]:
    """Return what the client is told about the settings behind an answer of several indexes."""
    versions = ",".join(f"{uid}={part.version}" for uid, part in parts.items())
    headers = {"X-Miroir-Settings-Version": versions} if parts else {}
    if any(part.inconsistent for part in parts.values()):
        headers["X-Miroir-Settings-Inconsistent"] = "true"
    return headers


def _to_nodes(request: MultiRequest, body: bytes, content_type: str | None) -> NodeRequest:
    return NodeRequest(
        "POST",
        "/multi-search",
        body,
        content_type,
        authorization=request.authorization,
        headers=request.headers,
    )


def _renamed(request: MultiRequest, keep: Callable[[str], bool] = lambda _: False) -> NodeRequest:
    """Return the request with names that no index has, sorted as the true ones."""
    body = orjson.loads(request.body)
    for query in body["queries"]:
        if not keep(query["indexUid"]):
            query["indexUid"] += _NOWHERE
    return _to_nodes(request, orjson.dumps(body), _JSON)


def _without_suffix(reply: NodeReply) -> NodeReply:
    return NodeReply(reply.status, {}, reply.body.replace(_NOWHERE.encode(), b""))


def _code(reply: NodeReply) -> str | None:
    """Return the code of an error; None for any other answer."""
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None
    code = answer.get("code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else None

"""
Reads other than search: documents by id and by page, statistics, the engine's version.

Documents come from one covering set, statistics from one replica per shard: counted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, quote, urlencode

import orjson
from msgspec import structs

from miroir.core import merge
from miroir.core.merge import CannotMerge, PageQuery
from miroir.core.numbers import unsigned
from miroir.core.topology import IndexUid, NodeId, ShardId
from miroir.errors import CannotBeMerged, NoCoveringSet, NodeError
from miroir.ports.node import NodeControl, NodeReply, NodeRequest
from miroir.services.cluster import Cluster, IndexView
from miroir.services.prober import PROBE_INDEX
from miroir.services.scatter import Gathered, Scatter, Wish
from miroir.services.searcher import Answer
from miroir.services.writer import owner

_JSON: Final = "application/json"
_NOWHERE: Final = "_miroir_nowhere"


class Incoming(Protocol):
    """What is needed of the client's request."""

    method: str
    query_string: str
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header by its lower-case name."""
        ...


@dataclass(frozen=True)
class StatsQuery:
    """
    What is to be shown of statistics.

    Attributes:
        inside: The sizes of a node's inner databases, too.
        in_words: Sizes as text.
    """

    inside: bool = False
    in_words: bool = False

    @property
    def question(self) -> str:
        """The query string for nodes, which tell sizes in bytes."""
        return "?showInternalDatabaseSizes=true" if self.inside else ""


@dataclass(frozen=True)
class DocumentQuery:
    """
    Whose documents are read, and under which conditions.

    Attributes:
        authorization: The client's own token for the nodes; None = the cluster's.
        floor: Lowest settings version.
    """

    index: IndexView
    authorization: str | None
    floor: int | None

    @property
    def path(self) -> str:
        """The documents route of the index on a node."""
        return f"/indexes/{quote(self.index.record.uid)}/documents"


class Catalog:
    """Answers reads."""

    def __init__(
        self, *, scatter: Scatter, control: NodeControl, cluster: Cluster, timeout_s: float
    ) -> None:
        self._scatter = scatter
        self._control = control
        self._cluster = cluster
        self._timeout_s = timeout_s

    async def document(self, query: DocumentQuery, document_id: str, query_string: str) -> Answer:
        """Return one document as a replica of its shard shows it."""
        question = f"?{query_string}" if query_string else ""
        path = f"{query.path}/{quote(document_id, safe='')}{question}"
        request = NodeRequest("GET", path, authorization=query.authorization)
        shard = owner(self._cluster.view, document_id)
        return _only(await self._ask(query, request, shard))

    async def documents(self, query: DocumentQuery, incoming: Incoming) -> Answer:
        """
        Return a page of documents: GET with parameters, POST fetch with a body.

        Raises:
            CannotBeMerged: By `useNetwork`, over several shards.
        """
        shards = self._cluster.view.topology.shard_count
        parameters = _parameters(incoming)
        request = _page_request(query, incoming)
        if shards == 1 or parameters is None:
            return _only(await self._ask(query, request, ShardId(0)))
        asked = merge.rewrite_page(parameters, shards, query.index.record.primary_key)
        if isinstance(asked, CannotMerge):
            answer = _only(await self._ask(query, request, ShardId(0)))
            if answer.status < 400:  # A node's own no goes first.
                raise CannotBeMerged(asked.reason)
            return answer
        gathered = await self._ask(query, _rewritten(query, request, asked))
        if asked.is_sorted and gathered.refusal is not None:
            # In the words of the route that was asked, and without our header.
            return _only(await self._ask(query, request, ShardId(0)))
        if (refusal := gathered.refusal) is not None:
            return Answer(refusal.status, refusal.body, gathered.headers)
        bodies = [reply.body for reply in gathered.replies]
        return Answer(200, merge.merge_documents_page(bodies, asked), gathered.headers)

    async def filter_refusal(
        self, index: IndexView | None, incoming: Incoming
    ) -> NodeReply | None:
        """
        Ask a node whether it takes the body of a deletion by filter; return its no.

        A fetch of no documents with the same filter is judged by the same rules, and more: what
        depends on settings is not refused but fails the task. So what the fetch refuses, and any
        body of another shape, is asked of the empty probe index.
        """
        filter_ = _only_filter(incoming)
        if filter_ is not None and index is not None:
            query = DocumentQuery(index, None, None)
            fetch = orjson.dumps({"filter": filter_, "limit": 0})
            request = NodeRequest("POST", f"{query.path}/fetch", fetch, _JSON)
            if (await self._ask(query, request, ShardId(0))).replies[0].status < 400:
                return None
        path = f"/indexes/{PROBE_INDEX}/documents/delete"
        content_type = incoming.header("content-type")
        reply = await self._anyone(NodeRequest("POST", path, incoming.body, content_type))
        return reply if reply.status >= 400 else None

    async def edit_refusal(self, index_uid: str, incoming: Incoming) -> NodeReply | None:
        """
        Ask a node whether it takes the body of an edit by function; return its no.

        The empty probe index is named to it, and the client's index in what it answers.
        """
        question = f"?{incoming.query_string}" if incoming.query_string else ""
        path = f"/indexes/{PROBE_INDEX}/documents/edit{question}"
        content_type = incoming.header("content-type")
        reply = await self._anyone(NodeRequest("POST", path, incoming.body, content_type))
        if reply.status < 400:
            return None
        probe, asked = (f"Index `{uid}`".encode() for uid in (PROBE_INDEX, index_uid))
        return NodeReply(reply.status, reply.headers, reply.body.replace(probe, asked))

    async def rendered(
        self, index: IndexView | None, document_id: str | None, incoming: Incoming
    ) -> Answer:
        """Return what a node that has this document, if there is one, makes of a template."""
        content_type = incoming.header("content-type")
        request = NodeRequest("POST", "/render-template", incoming.body, content_type)
        if index is None:
            reply = await self._anyone(request)
            return Answer(reply.status, reply.body, {})
        shard = owner(self._cluster.view, document_id) if document_id else ShardId(0)
        return _only(await self._ask(DocumentQuery(index, None, None), request, shard))

    async def fields(self, query: DocumentQuery, incoming: Incoming) -> Answer:
        """Return the fields that documents of an index have, and what settings make of them."""
        request = NodeRequest(
            "POST",
            f"/indexes/{quote(query.index.record.uid)}/fields",
            incoming.body,
            incoming.header("content-type"),
            authorization=query.authorization,
        )
        asked = _parameters(incoming)
        if self._cluster.view.topology.shard_count == 1 or asked is None:
            return _only(await self._ask(query, request, ShardId(0)))
        everything, offset, limit = merge.rewrite_fields(asked)
        gathered = await self._ask(query, structs.replace(request, body=orjson.dumps(everything)))
        if (refusal := gathered.refusal) is not None:
            return Answer(refusal.status, refusal.body, gathered.headers)
        bodies = [reply.body for reply in gathered.replies]
        return Answer(200, merge.merge_fields(bodies, offset, limit), gathered.headers)

    async def refusal_without_index(
        self, incoming: Incoming, route: str, authorization: str | None
    ) -> NodeReply | None:
        """Return a node's no to a request for an unknown index, if it is about something else."""
        question = f"?{incoming.query_string}" if incoming.query_string else ""
        request = NodeRequest(
            incoming.method,
            f"/indexes/{_NOWHERE}/{route}{question}",
            incoming.body,
            incoming.header("content-type"),
            authorization=authorization,
        )
        reply = await self._anyone(request)
        return reply if 400 <= reply.status < 500 and reply.status != 404 else None

    async def index_stats(
        self, index: IndexView, authorization: str | None, asked: StatsQuery
    ) -> Answer:
        """Return the statistics of one index."""
        uid = index.record.uid
        path = f"/indexes/{quote(uid)}/stats{asked.question}"
        request = NodeRequest("GET", path, authorization=authorization)
        gathered = await self._scatter.ask(Wish(IndexUid(uid), request, timeout_s=self._timeout_s))
        if (refusal := gathered.refusal) is not None:
            return Answer(refusal.status, refusal.body, gathered.headers)
        bodies = [reply.body for reply in gathered.replies]
        merged = merge.merge_index_stats(bodies, in_words=asked.in_words)
        return Answer(200, merged, gathered.headers)

    async def stats(self, asked: StatsQuery) -> dict[str, Any]:
        """Return the statistics of all indexes of the cluster, hidden ones left out."""
        view = self._cluster.view
        bodies: list[bytes] = []
        for column in view.topology.columns:
            lags = {n: sum(n in i.out_of_sync for i in view.indexes.values()) for n in column}
            complete_first = sorted(column, key=lags.__getitem__)
            request = NodeRequest("GET", f"/stats{asked.question}")
            bodies.append((await self._anyone(request, complete_first)).body)
        merged: dict[str, Any] = orjson.loads(merge.merge_stats(bodies, in_words=asked.in_words))
        merged["indexes"] = {
            uid: stats for uid, stats in merged["indexes"].items() if view.live(uid) is not None
        }
        return merged

    async def version(self) -> dict[str, Any]:
        """Return `GET /version` of a node that answers."""
        version: dict[str, Any] = orjson.loads(
            (await self._anyone(NodeRequest("GET", "/version"))).body
        )
        return version

    async def _anyone(
        self, request: NodeRequest, node_ids: Sequence[NodeId] | None = None
    ) -> NodeReply:
        """Return the answer of the first of these nodes, or of all, that gives one."""
        view = self._cluster.view
        for node_id in view.topology.node_ids if node_ids is None else node_ids:
            if node_id not in view.healthy:
                continue
            try:
                return await self._control.forward(node_id, request)
            except NodeError:
                continue  # The health check will say so; the next node knows as well.
        raise NoCoveringSet("no node answers")

    async def _ask(
        self, query: DocumentQuery, request: NodeRequest, shard: ShardId | None = None
    ) -> Gathered:
        uid = IndexUid(query.index.record.uid)
        return await self._scatter.ask(
            Wish(uid, request, timeout_s=self._timeout_s, floor=query.floor, shard=shard)
        )


def _only_filter(incoming: Incoming) -> Any:
    """Return the filter of a body that is JSON and holds nothing else; None for any other."""
    announced = (incoming.header("content-type") or "").split(";", 1)[0].strip().lower()
    try:
        body = orjson.loads(incoming.body)
    except orjson.JSONDecodeError:
        return None
    fits = announced == _JSON and isinstance(body, dict) and set(body) == {"filter"}
    return (body["filter"] or None) if fits else None


def _only(gathered: Gathered) -> Answer:
    reply = gathered.replies[0]
    return Answer(reply.status, reply.body, gathered.headers)


def _parameters(incoming: Incoming) -> dict[str, Any] | None:
    """Return the parameters of a page; None if only a node can judge them."""
    if incoming.method == "GET":
        query: dict[str, Any] = dict(parse_qsl(incoming.query_string, keep_blank_values=True))
        for name in ("offset", "limit"):
            if (value := unsigned(query.get(name, ""))) is not None:
                query[name] = value
        return query
    try:
        body = orjson.loads(incoming.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _page_request(query: DocumentQuery, incoming: Incoming) -> NodeRequest:
    if incoming.method == "GET":
        question = f"?{incoming.query_string}" if incoming.query_string else ""
        return NodeRequest("GET", query.path + question, authorization=query.authorization)
    return NodeRequest(
        "POST",
        f"{query.path}/fetch",
        incoming.body,
        incoming.header("content-type"),
        authorization=query.authorization,
    )


def _rewritten(query: DocumentQuery, request: NodeRequest, asked: PageQuery) -> NodeRequest:
    if asked.is_sorted:
        body = asked.body if request.method == "POST" else merge.fetch_body(asked.body)
        return NodeRequest(
            "POST",
            f"{query.path}/fetch",
            orjson.dumps(body),
            _JSON,
            authorization=query.authorization,
            headers={merge.PROXY_HEADER: "true"},
        )
    if request.method == "POST":
        return structs.replace(request, body=orjson.dumps(asked.body))
    return structs.replace(request, path=f"{request.path.split('?')[0]}?{urlencode(asked.body)}")

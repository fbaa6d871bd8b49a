"""Public routes: documents."""

from collections.abc import Mapping

from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import check_names
from miroir.api.router import Access, Route
from miroir.api.views import task_summary
from miroir.core import documents as rules
from miroir.core.consistency import LEVELS, Consistency
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter, InvalidConsistency
from miroir.ports.records import TaskRecord
from miroir.services.write_plan import DocumentsWrite, Terms, shortage

_WRITE_PARAMETERS = ("primaryKey", "csvDelimiter", "customMetadata", "skipCreation")


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    documents = Documents(edge)
    path = "/indexes/{uid}/documents"
    return (
        Route("GET", path, documents.list, Access.NODES),
        Route("POST", path, documents.add),
        Route("PUT", path, documents.add),
        Route("DELETE", path, documents.delete_all),
        Route("POST", f"{path}/fetch", documents.fetch, Access.NODES),
        Route("POST", f"{path}/delete-batch", documents.delete_batch),
        Route("POST", f"{path}/delete", documents.delete_matching),
        Route("POST", f"{path}/edit", documents.edit),
        Route("GET", f"{path}/{{id}}", documents.get, Access.NODES),
        Route("DELETE", f"{path}/{{id}}", documents.delete_one),
    )


class Documents:
    """Writes go to every replica of their shard, reads to one."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def add(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST` (replace) and `PUT` (update) of documents."""
        query = request.query
        check_names(query, _WRITE_PARAMETERS)
        if query.get("skipCreation", "false").lower() not in {"true", "false"}:
            raise BadParameter(
                "invalid_skip_creation",
                f"skipCreation must be either `true` or `false`. Found: `{query['skipCreation']}`",
            )
        write = DocumentsWrite(
            index_uid=uid_of(named),
            method=request.method,
            body=request.body,
            content_type=request.header("content-type"),
            primary_key=query.get("primaryKey"),
            csv_delimiter=query.get("csvDelimiter"),
            custom_metadata=query.get("customMetadata"),
            skip_creation=query.get("skipCreation"),
            level=self._level(request),
        )
        return self._accepted(write.index_uid, await self._edge.writer.add(write))

    async def delete_one(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /indexes/{uid}/documents/{id}`."""
        terms = self._terms(request)
        task = await self._edge.writer.delete_ids(uid_of(named), (named["id"],), terms)
        return self._accepted(uid_of(named), task)

    async def delete_batch(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST .../delete-batch`, a list of ids."""
        terms = self._terms(request)
        request.json()  # Content type and syntax, in the words of every JSON route.
        ids = rules.delete_ids(request.body)
        task = await self._edge.writer.delete_ids(uid_of(named), ids, terms)
        return self._accepted(uid_of(named), task)

    async def delete_matching(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST .../delete`, by filter; a node judges the filter before anything is deleted."""
        terms = self._terms(request)
        index = self._edge.cluster.view.live(named["uid"])
        refusal = await self._edge.catalog.filter_refusal(index, request)
        if refusal is not None:
            return Reply(refusal.status, refusal.body)
        task = await self._edge.writer.delete_matching(uid_of(named), request.body, terms)
        return self._accepted(uid_of(named), task)

    async def edit(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST .../edit`, by function; a node judges both it and the filter before."""
        terms = self._terms(request)
        refusal = await self._edge.catalog.edit_refusal(named["uid"], request)
        if refusal is not None:
            return Reply(refusal.status, refusal.body)
        task = await self._edge.writer.edit(uid_of(named), request.body, terms)
        return self._accepted(uid_of(named), task)

    async def delete_all(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /indexes/{uid}/documents`."""
        task = await self._edge.writer.delete_all(uid_of(named), self._terms(request))
        return self._accepted(uid_of(named), task)

    async def get(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}/documents/{id}`, from a replica of its shard."""
        query = await self._edge.document_query(request, named["uid"])
        answer = await self._edge.catalog.document(query, named["id"], request.query_string)
        return Reply(answer.status, answer.body, answer.headers)

    async def list(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}/documents`."""
        return await self._page(request, named)

    async def fetch(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /indexes/{uid}/documents/fetch`."""
        return await self._page(request, named)

    async def _page(self, request: Request, named: Mapping[str, str]) -> Reply:
        query = await self._edge.document_query(request, named["uid"])
        answer = await self._edge.catalog.documents(query, request)
        return Reply(answer.status, answer.body, answer.headers)

    def _terms(self, request: Request) -> Terms:
        check_names(request.query, ("customMetadata",))
        return Terms(request.query.get("customMetadata"), self._level(request))

    def _level(self, request: Request) -> Consistency:
        asked = request.header("x-miroir-write-consistency")
        if asked is None:
            return self._edge.write_consistency
        for level in LEVELS:
            if asked.strip().lower() == level:
                return level
        raise InvalidConsistency(
            f"`X-Miroir-Write-Consistency: {asked}` is none of `one`, `majority`, `all`."
        )

    def _accepted(self, index_uid: IndexUid, task: TaskRecord) -> Reply:
        """Answer with the task, and with which shards are short of replicas now."""
        view = self._edge.cluster.view
        index = view.live(index_uid)
        short = shortage(view, index) if index is not None else ""
        headers = {"X-Miroir-Degraded": short} if short else {}
        return reply_json(task_summary(task), 202, headers)

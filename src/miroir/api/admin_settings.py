"""
Admin routes: the settings of an index, what they were, and the ways back.

History is that of the uid: it goes on over the deletion and re-creation of the index, and can be
read while there is none.
"""

from collections.abc import Mapping
from typing import Any, Final

from miroir.api.admin_views import entry_view, index_view, intent_view, version_view
from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import body_object, check_names, number, text_field
from miroir.api.router import Access, Route
from miroir.api.settings_headers import (
    REASON_CHARACTERS_MAX,
    base_of,
    by_of,
    check_note,
    reason_of,
    version_headers,
)
from miroir.api.views import task_summary
from miroir.core import settings as rules
from miroir.core.numbers import U32_MAX, unsigned
from miroir.core.topology import IndexUid
from miroir.errors import BadParameter, IndexNotFound, SettingsVersionNotFound
from miroir.ports.records import HistoryEntry, IntentQuery
from miroir.services.intake import check_uid
from miroir.services.registrar import Rollback

PAGE_MAX: Final = 1000
_RECENT: Final = 20
_CODE: Final = "bad_request"


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = AdminSettings(edge)
    base = "/_miroir/settings/{uid}"
    return (
        Route("GET", base, admin.show, Access.ADMIN),
        Route("GET", f"{base}/history", admin.history, Access.ADMIN),
        Route("GET", f"{base}/history/{{version}}", admin.version, Access.ADMIN),
        Route("POST", f"{base}/rollback", admin.roll_back, Access.ADMIN),
        Route("POST", f"{base}/thaw", admin.thaw, Access.ADMIN),
    )


class AdminSettings:
    """Shows and changes the settings of one index."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def show(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/settings/{index}`: version, settings, phase, nodes, newest versions."""
        index = self._edge.index(named["uid"])
        recent = await self._edge.store.history(index.record.uid, limit=_RECENT)
        body = {
            **index_view(self._edge.cluster.view, index),
            "fingerprints": dict(index.record.fingerprints),
            "settings": rules.shown(index.record.settings or {}),
            "intent": intent_view(index.intent) if index.intent else None,
            "queued": [intent_view(intent) for intent in index.queued],
            "history": [entry_view(entry) for entry in recent],
        }
        return reply_json(body, headers=version_headers(index))

    async def history(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/settings/{index}/history?limit=&from=`: newest first."""
        check_names(request.query, ("limit", "from"))
        limit = min(number(request.query, "limit", 20, _CODE, most=U32_MAX), PAGE_MAX)
        start = number(request.query, "from", 0, _CODE) if "from" in request.query else None
        uid = await self._known(named)
        found = await self._edge.store.history(uid, limit=limit + 1, from_version=start)
        page, rest = found[:limit], found[limit:]
        body = {
            "results": await self._versions(page),
            "limit": limit,
            "from": page[0].version if page else None,
            "next": rest[0].version if rest else None,
        }
        return reply_json(body)

    async def version(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """
        `GET /_miroir/settings/{index}/history/{version}`: one version, with complete settings.

        `settings` is null of a version from before complete settings were kept.
        """
        uid, store = await self._known(named), self._edge.store
        wanted = unsigned(named["version"], U32_MAX) or 0
        found = await store.history(uid, limit=1, from_version=wanted)
        if not found or found[0].version != wanted:
            raise SettingsVersionNotFound(
                f"Index `{uid}` never had settings version {named['version']}."
            )
        settings = await store.settings_of(uid, wanted)
        (entry,) = await self._versions(found)
        shown = rules.shown(settings) if settings is not None else None
        return reply_json({**entry, "settings": shown})

    async def roll_back(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/settings/{index}/rollback`: a former version again, as a new one."""
        body = body_object(request.json(), ("version", "reason"))
        reason = text_field(body, "reason", _CODE)
        wanted = Rollback(
            index_uid=uid_of(named),
            version=_version(body),
            base=base_of(request),
            by=by_of(request),
            reason=reason_of(request)
            if reason is None
            else check_note(".reason", reason, REASON_CHARACTERS_MAX),
        )
        return reply_json(task_summary(await self._edge.registrar.roll_back(wanted)), 202)

    async def thaw(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/settings/{index}/thaw`: let document writes through again."""
        index = self._edge.index(named["uid"])
        await self._edge.store.thaw(index.record.uid)
        record = await self._edge.store.index(uid_of(named))
        assert record is not None, "a live index is known to the store"
        self._edge.cluster.apply_record(record)
        return reply_json(index_view(self._edge.cluster.view, self._edge.index(named["uid"])))

    async def _known(self, named: Mapping[str, str]) -> IndexUid:
        """Return the uid of an index that is there, or was."""
        uid = uid_of(named)
        if await self._edge.store.index(uid) is None:
            check_uid(uid)
            raise IndexNotFound(f"Index `{uid}` not found.")
        return uid

    async def _versions(self, entries: tuple[HistoryEntry, ...]) -> list[dict[str, Any]]:
        """Return versions with what each node did for them."""
        ids = tuple(entry.intent_id for entry in entries)
        if not ids:
            return []
        store = self._edge.store
        intents = await store.find_intents(IntentQuery(limit=len(ids), ids=ids))
        tasks = await store.intent_tasks(ids)
        by_id = {intent.intent_id: intent for intent in intents}
        # Intents are kept for ever, as versions are.
        return [version_view(e, by_id[e.intent_id], tasks.get(e.intent_id, ())) for e in entries]


def _version(body: Mapping[str, Any]) -> int:
    version = body.get("version")
    if type(version) is not int or not 0 < version <= U32_MAX:
        raise BadParameter(
            _CODE, "Invalid value at `.version`: expected the number of a settings version"
        )
    return version

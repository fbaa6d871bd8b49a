"""Public routes: settings, whole and one by one. Every write is one entrance to the protocol."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from miroir.api.edge import Edge, uid_of
from miroir.api.http import JSON_TYPE, Reply, Request, reply_json
from miroir.api.router import Route
from miroir.api.settings_headers import (
    base_of,
    by_of,
    not_modified,
    reason_of,
    version_headers,
)
from miroir.api.views import task_summary
from miroir.core import settings as rules
from miroir.core.features import visible
from miroir.core.settings import Setting
from miroir.ports.node import NodeRequest
from miroir.services.cluster import IndexView
from miroir.services.registrar import SettingsWrite


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    settings = SettingsRoutes(edge)
    rows = [
        Route("GET", "/indexes/{uid}/settings", settings.get_all),
        Route("PATCH", "/indexes/{uid}/settings", settings.update_all),
        Route("DELETE", "/indexes/{uid}/settings", settings.reset_all),
    ]
    for setting in rules.TABLE:
        path = f"/indexes/{{uid}}/settings/{setting.segment}"
        rows += [
            Route("GET", path, partial(settings.get_one, setting)),
            Route(setting.verb, path, partial(settings.update_one, setting)),
            Route("DELETE", path, partial(settings.reset_one, setting)),
        ]
    return tuple(rows)


class SettingsRoutes:
    """Reads come from the last committed read-back, never from a node in mid-change."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def get_all(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}/settings`."""
        index = self._edge.index(named["uid"])
        unchanged = not_modified(request, index)
        shown = visible(_shown(index), self._edge.flags.committed)
        return unchanged or reply_json(shown, headers=version_headers(index))

    async def get_one(self, setting: Setting, request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /indexes/{uid}/settings/{setting}`."""
        index = self._edge.index(named["uid"])
        value = _shown(index).get(setting.key, setting.default)
        unchanged = not_modified(request, index)
        return unchanged or reply_json(value, headers=version_headers(index))

    async def update_all(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`PATCH /indexes/{uid}/settings`."""
        patch = _object_or_none(request)
        return await self._write(request, named, patch, resets=False)

    async def reset_all(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`DELETE /indexes/{uid}/settings`."""
        return await self._write(request, named, {}, resets=True)

    async def update_one(
        self, setting: Setting, request: Request, named: Mapping[str, str]
    ) -> Reply:
        """`PUT` or `PATCH /indexes/{uid}/settings/{setting}`; the body is the bare value."""
        readable, value = _value(request)
        patch = {setting.key: value} if readable else None
        return await self._write(request, named, patch, resets=False)

    async def reset_one(
        self, setting: Setting, request: Request, named: Mapping[str, str]
    ) -> Reply:
        """`DELETE /indexes/{uid}/settings/{setting}`."""
        return await self._write(request, named, {setting.key: None}, resets=True)

    async def _write(
        self,
        request: Request,
        named: Mapping[str, str],
        patch: dict[str, Any] | None,
        *,
        resets: bool,
    ) -> Reply:
        tail = "/".join(request.path.strip("/").split("/")[2:])  # Behind /indexes/{uid}.
        own = NodeRequest(request.method, f"/{tail}", request.body, request.header("content-type"))
        write = SettingsWrite(
            index_uid=uid_of(named),
            patch=patch,
            request=own,
            resets=resets,
            base=base_of(request),
            by=by_of(request),
            reason=reason_of(request),
        )
        return reply_json(task_summary(await self._edge.registrar.change_settings(write)), 202)


def _value(request: Request) -> tuple[bool, Any]:
    """Return whether the body is JSON announced as such, and its value."""
    if request.content_type != JSON_TYPE:
        return False, None
    try:
        return True, orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return False, None  # A node says what is wrong with it, in its own words.


def _object_or_none(request: Request) -> dict[str, Any] | None:
    readable, value = _value(request)
    return value if readable and isinstance(value, dict) else None


def _shown(index: IndexView) -> dict[str, Any]:
    assert index.record.settings is not None, "an index has settings from its creation on"
    return rules.shown(index.record.settings)

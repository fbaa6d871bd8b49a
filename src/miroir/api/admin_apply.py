"""
Admin routes: a settings change made with care.

`apply` is a settings PATCH with what does not fit into one: golden queries that the changed half
of the nodes has to answer before anybody else sees the change, and a time within which somebody
has to confirm it. `confirm` keeps it for good.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from miroir.api.admin_views import index_view
from miroir.api.edge import Edge, uid_of
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import body_object, described, text_field
from miroir.api.router import Access, Route
from miroir.api.settings_headers import (
    BY_CHARACTERS_MAX,
    REASON_CHARACTERS_MAX,
    base_of,
    by_of,
    check_note,
    reason_of,
    version_headers,
)
from miroir.api.views import task_summary
from miroir.core import canary
from miroir.core.numbers import U32_MAX
from miroir.errors import BadParameter
from miroir.ports.node import NodeRequest
from miroir.ports.records import Care
from miroir.services.registrar import Base, SettingsWrite

_CODE: Final = "bad_request"
_JSON: Final = "application/json"
_CONFIRM_MAX_S: Final = 7 * 24 * 3600
_FIELDS: Final = ("settings", "baseVersion", "by", "reason", "confirmWithinS", "canary")


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    admin = AdminApply(edge)
    base = "/_miroir/settings/{uid}"
    return (
        Route("POST", f"{base}/apply", admin.apply, Access.ADMIN),
        Route("POST", f"{base}/confirm", admin.confirm, Access.ADMIN),
    )


class AdminApply:
    """Changes settings with care."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def apply(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/settings/{index}/apply`: answers like a PATCH of the settings."""
        body = body_object(request.json(), _FIELDS)
        patch = body.get("settings")
        if not isinstance(patch, dict):
            raise _wrong("settings", "an object", patch)
        by, reason = text_field(body, "by", _CODE), text_field(body, "reason", _CODE)
        write = SettingsWrite(
            index_uid=uid_of(named),
            patch=patch,
            request=NodeRequest("PATCH", "/settings", orjson.dumps(patch), _JSON),
            resets=False,
            base=_base(request, body),
            by=by_of(request) if by is None else check_note(".by", by, BY_CHARACTERS_MAX),
            reason=reason_of(request)
            if reason is None
            else check_note(".reason", reason, REASON_CHARACTERS_MAX),
            care=_care(body),
        )
        return reply_json(task_summary(await self._edge.registrar.change_settings(write)), 202)

    async def confirm(self, request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/settings/{index}/confirm`: keep the committed version for good."""
        index = self._edge.index(named["uid"])
        version = body_object(request.json(), ("version",)).get("version")
        if type(version) is not int or not 0 < version <= U32_MAX:
            raise _wrong("version", "the number of a settings version", version)
        await self._edge.confirmations.confirm(index.record.uid, version)
        now = self._edge.index(named["uid"])
        return reply_json(index_view(self._edge.cluster.view, now), headers=version_headers(now))


def _base(request: Request, body: Mapping[str, Any]) -> Base | None:
    version = body.get("baseVersion")
    if version is None:
        return base_of(request)
    if type(version) is not int or not 0 <= version <= U32_MAX:
        raise _wrong("baseVersion", "the number of a settings version", version)
    return Base(str(version), frozenset({str(version)}))


def _care(body: Mapping[str, Any]) -> Care:
    within_s, spec = body.get("confirmWithinS"), body.get("canary")
    if spec is not None:
        canary.read(spec)
    if within_s is None:
        return Care(canary=spec)
    if type(within_s) not in {int, float} or not 0 < within_s <= _CONFIRM_MAX_S:
        raise _wrong("confirmWithinS", f"seconds, more than 0, at most {_CONFIRM_MAX_S}", within_s)
    return Care(canary=spec, confirm_within_ms=int(within_s * 1000))


def _wrong(name: str, wanted: str, value: Any) -> BadParameter:
    return BadParameter(
        _CODE, f"Invalid value at `.{name}`: expected {wanted}, but found {described(value)}"
    )

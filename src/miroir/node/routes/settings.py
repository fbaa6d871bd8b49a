"""Routes of settings: the whole object, and one sub-route with its own verb for each setting."""

from collections.abc import Iterator
from typing import Any, Final

from miroir.node.http import Response, answer
from miroir.node.routes.base import Call, Route
from miroir.node.settings import (
    SETTINGS,
    Setting,
    cleared,
    details,
    one_setting,
    parse_patch,
    shown,
    shown_setting,
)

_PATH: Final = "/indexes/{index_uid}/settings"


def _get(call: Call) -> Response:
    return answer(shown(call.index().settings, call.node.features))


def _patch(call: Call) -> Response:
    patch = parse_patch(call.request.json(), call.node.features)
    return _register(call, patch, deletion=False)


def _delete(call: Call) -> Response:
    return _register(call, cleared(), deletion=True)


def _register(call: Call, patch: dict[str, Any], *, deletion: bool) -> Response:
    uid = call.index_uid
    request = {
        "patch": patch,
        "deletion": deletion,
        "mayCreate": call.access.may_create_index(uid),
    }
    return call.enqueue("settingsUpdate", index_uid=uid, details=details(patch), request=request)


def _routes_of(setting: Setting) -> Iterator[Route]:
    path = f"{_PATH}/{setting.route}"

    def get(call: Call) -> Response:
        return answer(shown_setting(setting.name, call.index().settings))

    def write(call: Call) -> Response:
        patch = one_setting(setting, call.request.json(), call.node.features)
        return _register(call, patch, deletion=False)

    def delete(call: Call) -> Response:
        return _register(call, {setting.name: None}, deletion=True)

    yield Route("GET", path, "settings.get", get)
    yield Route(setting.verb, path, "settings.update", write, "write")
    yield Route("DELETE", path, "settings.update", delete, "write")


ROUTES: Final = (
    Route("GET", _PATH, "settings.get", _get),
    Route("PATCH", _PATH, "settings.update", _patch, "write"),
    Route("DELETE", _PATH, "settings.update", _delete, "write"),
    *(route for setting in SETTINGS.values() for route in _routes_of(setting)),
)

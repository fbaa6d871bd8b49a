"""
From a request body to a checked settings patch, and the patch as a task shows it.

A patch is a dict in the order of the settings table: key absent = untouched, None = reset.
Everything that can be refused without knowing the index is refused here, the rest in the task.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from miroir.node.features import require_feature
from miroir.node.settings.embedders import FIELDS_SHOWN, masked, require_valid
from miroir.node.settings.ranking import require_unmixed
from miroir.node.settings.table import SETTINGS, Setting
from miroir.node.validate import Member, Place, Struct, nullable

Patch: TypeAlias = dict[str, Any]
_body = Struct({
    name: Member(nullable(setting.check), setting.code) for name, setting in SETTINGS.items()
})  # fmt: skip
_ACTIONS = {
    "chat": "setting `chat` in the index settings",
    "foreignKeys": "setting `foreignKeys` in the index settings",
}


def parse_patch(body: Any, features: Mapping[str, bool]) -> Patch:
    """
    Return the patch of `PATCH /settings`.

    Raises:
        ApiError: A key is unknown (`bad_request`), a value is refused (the setting's own code), or
            an experimental feature is needed.
    """
    checked = _body(body, Place())
    return _required_valid(checked, features)


def one_setting(setting: Setting, body: Any, features: Mapping[str, bool]) -> Patch:
    """Return the patch of a write to a setting's own route; errors as `parse_patch`."""
    value = None if body is None else setting.check(body, setting.place())
    return _required_valid({setting.name: value}, features)


def cleared() -> Patch:
    """Return the patch that resets everything."""
    return dict.fromkeys(SETTINGS)


def _required_valid(checked: dict[str, Any], features: Mapping[str, bool]) -> Patch:
    patch = {name: checked[name] for name in SETTINGS if name in checked}
    if patch.get("embedders") is not None:
        require_valid(patch["embedders"], features)
    for name, action in _ACTIONS.items():
        feature = SETTINGS[name].feature
        if patch.get(name) is not None and feature is not None:
            require_feature(features, feature, action)
    if patch.get("rankingRules") is not None:
        require_unmixed(patch["rankingRules"])
    return patch


def details(patch: Patch) -> dict[str, Any]:
    """Return the patch as the task's `details`: sets sorted, secrets masked."""
    return {name: _detail(SETTINGS[name], value) for name, value in patch.items()}


def _detail(setting: Setting, value: Any) -> Any:
    if value is None:
        return ["*"] if setting.default == ["*"] else None
    if setting.sort:
        return sorted(set(value))
    if setting.name == "synonyms":
        return {key: value[key] for key in sorted(value)}
    if setting.name == "embedders":
        return {name: _embedder(embedder) for name, embedder in sorted(value.items())}
    if setting.name == "faceting" and value.get("sortFacetValuesBy") is not None:
        value = {**value, "sortFacetValuesBy": dict(sorted(value["sortFacetValuesBy"].items()))}
    if isinstance(setting.default, dict) and setting.default:
        return {key: value[key] for key in setting.default if key in value}
    return value


def _embedder(embedder: dict[str, Any] | None) -> dict[str, Any] | None:
    if embedder is None:
        return None
    shown = masked(embedder)
    return {key: shown[key] for key in FIELDS_SHOWN if key in shown}

"""
Stored settings with every default filled in: for the engine, and for clients.

What was never set is shown by the defaults of this version; they are not stored. Pure.
"""

from collections.abc import Mapping
from typing import Any

from miroir.node.settings.embedders import masked, shown_embedder
from miroir.node.settings.table import FACETING_DEFAULT, SETTINGS


def engine_form(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return all 22 settings, complete, with secrets in clear."""
    return {name: _complete(name, stored.get(name)) for name in SETTINGS}


def shown(stored: Mapping[str, Any], features: Mapping[str, bool]) -> dict[str, Any]:
    """Return the settings as GET shows them: secrets masked, hidden ones left out."""
    form = engine_form(stored)
    form["embedders"] = {name: masked(value) for name, value in form["embedders"].items()}
    for name, setting in SETTINGS.items():
        if setting.feature is not None and not features.get(setting.feature):
            del form[name]
    return form


def shown_setting(name: str, stored: Mapping[str, Any]) -> Any:
    """Return one setting as its own route shows it, whatever features are on."""
    value = _complete(name, stored.get(name))
    if name == "embedders":
        return {key: masked(embedder) for key, embedder in value.items()}
    return value


def _complete(name: str, value: Any) -> Any:
    default = SETTINGS[name].default
    if value is None:
        return default
    if name == "typoTolerance":
        sizes = {**default["minWordSizeForTypos"], **value.get("minWordSizeForTypos", {})}
        return {**default, **value, "minWordSizeForTypos": sizes}
    if name == "faceting":
        order = {**FACETING_DEFAULT["sortFacetValuesBy"], **value.get("sortFacetValuesBy", {})}
        order = {key: order[key] for key in sorted(order)}
        return {**default, **value, "sortFacetValuesBy": order}
    if name in {"pagination", "chat"}:
        return {**default, **value}
    if name == "embedders":
        return {key: shown_embedder(embedder) for key, embedder in value.items()}
    return value

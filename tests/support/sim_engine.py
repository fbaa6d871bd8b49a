"""
What one engine version makes of settings: the judge's own idea, not Miroir's.

Checks, merging and normal forms are those of the embedded node (`miroir.node.settings`), which is
compared with real Meilisearch elsewhere. A version may lack keys, have keys of its own, and have
other defaults. Nothing here knows Miroir's core.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from miroir.node.errors import ApiError
from miroir.node.settings import SETTINGS, details, merged, parse_patch, shown

Stored = dict[str, Any]
"""Settings as a node keeps them: what was set explicitly, in normal form, secrets in clear."""


@dataclass(frozen=True)
class Engine:
    """
    One version.

    Attributes:
        lacks: Keys that it does not know.
        extra: Keys that no other version has -> default.
        defaults: Defaults that differ from those of 1.50.
        flags: Experimental features that it knows.
    """

    version: str
    lacks: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ("metrics", "containsFilter")

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key that it knows, also those that it shows only with a feature on."""
        return (*(key for key in SETTINGS if key not in self.lacks), *self.extra)

    def parse(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Return a checked patch; `ApiError` is the 400 of the HTTP answer."""
        unknown = sorted(set(patch) & self.lacks)
        if unknown:
            raise ApiError("bad_request", f"Unknown field `{unknown[0]}`")
        own = {key: value for key, value in patch.items() if key in self.extra}
        known = {key: value for key, value in patch.items() if key not in self.extra}
        return {**parse_patch(known, {}), **own}

    def apply(self, stored: Stored, patches: Iterable[Mapping[str, Any]]) -> Stored:
        """Apply a batch; of two patches of one map in a batch, the later one replaces it."""
        after = stored
        before_embedders = stored.get("embedders")
        for patch in patches:
            if "embedders" in patch and after.get("embedders") != before_embedders:
                after = {**after, "embedders": before_embedders}
                if before_embedders is None:
                    del after["embedders"]
            after = self._one(after, patch)
        return after

    def _one(self, stored: Stored, patch: Mapping[str, Any]) -> Stored:
        own = {key: value for key, value in stored.items() if key in self.extra}
        known = {key: value for key, value in stored.items() if key not in self.extra}
        after = merged(known, {k: v for k, v in patch.items() if k in SETTINGS})
        for key, value in patch.items():
            if key in self.extra:
                own.pop(key, None)
                if value is not None:
                    own[key] = value
        return {**after, **own}

    def shown(self, stored: Stored) -> dict[str, Any]:
        """Return the answer to GET: complete, secrets masked."""
        known = {key: value for key, value in stored.items() if key not in self.extra}
        form = shown(known, {})
        for key, default in self.defaults.items():
            if key not in stored:
                form[key] = default
        for key, default in self.extra.items():
            form[key] = stored.get(key, default)
        return {key: value for key, value in form.items() if key not in self.lacks}

    def truth(self, stored: Stored) -> dict[str, Any]:
        """Return what the node really serves: as shown, and the secrets behind the masks."""
        embedders = stored.get("embedders") or {}
        secrets = {name: value.get("apiKey") for name, value in embedders.items()}
        return {**self.shown(stored), "the secrets": secrets}


def task_details(kind: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a node's task list says of a task, secrets masked."""
    match kind:
        case "settingsUpdate":
            known = {key: value for key, value in body.items() if key in SETTINGS}
            return {**body, **details(known)}
        case "indexCreation" | "indexUpdate" | "indexSwap":
            return dict(body)
        case _:
            return None


def digest(truth: Mapping[str, Any]) -> bytes:
    """Return a value in one order of bytes."""
    return orjson.dumps(truth, option=orjson.OPT_SORT_KEYS)


NEW: Final = Engine("1.50.0")
OLD: Final = Engine(
    "1.11.3",
    lacks=frozenset({"facetSearch", "prefixSearch"}),
    defaults={"pagination": {"maxTotalHits": 2000}},
    flags=("metrics",),
)
NEXT: Final = Engine(
    "1.51.0",
    extra={"rerank": None, "synonymsMode": "both"},
    flags=("metrics", "containsFilter", "rerankRoute"),
)

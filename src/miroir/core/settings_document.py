"""
Settings as somebody wrote them down: one index of a file, read, checked, laid over.

    apiVersion: miroir/v1
    index: movies
    ownership: partial          # full: what is not written here goes to its default
    unmanaged: [synonyms]       # left alone whatever `ownership` says
    settings:
      searchableAttributes: [title, overview]
      stopWords: null           # managed: at the engine's default

Three states of a key: a value is managed; null is managed and at the engine's default; a key that
is absent is left alone and reported. Checked is what can be told without a node; unknown keys are
a warning, as engines learn new ones. Reading YAML is `cli/settings/files.py`'s. Pure.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from miroir.core.engine_keys import CHAT
from miroir.core.setting_values import Found, check_value
from miroir.core.settings import BY_KEY, FRAGMENTS

API_VERSION: Final = "miroir/v1"
_FIELDS: Final = frozenset({"apiVersion", "index", "ownership", "unmanaged", "settings"})


class Ownership(StrEnum):
    """What becomes of keys that a file does not name."""

    FULL = "full"
    PARTIAL = "partial"


@dataclass(frozen=True)
class Fault:
    """
    Something about a file that cannot stay, or, as a warning, should not.

    Attributes:
        place: `settings.stopWords[2]`; empty for the whole.
        rule: A short name that does not change, for machines.
    """

    place: str
    says: str
    rule: str
    warning: bool = False


@dataclass(frozen=True)
class Declared:
    """
    What one index should have.

    Attributes:
        settings: By key; None: at its default; absent: see `ownership`.
        unmanaged: Keys that are left alone in any case.
        source: File that it was read from, for messages.
        partly: Whether this is only what differed, of a whole that is elsewhere.
    """

    index: str
    settings: Mapping[str, Any]
    ownership: Ownership = Ownership.PARTIAL
    unmanaged: frozenset[str] = frozenset()
    source: str = ""
    partly: bool = False


@dataclass(frozen=True)
class Reading:
    """What reading led to: a declaration where that was possible, and what there is to say."""

    declared: Declared | None
    faults: tuple[Fault, ...] = field(default=())

    @property
    def sound(self) -> bool:
        """Whether there is nothing but warnings."""
        return self.declared is not None and all(fault.warning for fault in self.faults)


def read(raw: Any, source: str = "", *, index: str | None = None) -> Reading:
    """Return what a mapping declares for one index; `index` where the name is given outside."""
    if not isinstance(raw, Mapping):
        return Reading(None, (Fault("", "this is no mapping of keys", "shape"),))
    faults = [*_frame_faults(raw, index)]
    settings = raw.get("settings")
    uid = index or raw.get("index")
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            faults += _setting_faults(str(key), value)
    if not isinstance(settings, Mapping) or not isinstance(uid, str):
        return Reading(None, tuple(faults))
    ownership = raw.get("ownership", Ownership.PARTIAL)
    unmanaged = raw.get("unmanaged") or []
    declared = Declared(
        index=uid,
        settings={str(key): value for key, value in settings.items()},
        ownership=Ownership.FULL if ownership == Ownership.FULL else Ownership.PARTIAL,
        unmanaged=frozenset(map(str, unmanaged)) if isinstance(unmanaged, list) else frozenset(),
        source=source,
    )
    return Reading(declared, tuple(faults))


def overlaid(base: Any, over: Any) -> Any:
    """
    Return a mapping with another laid over it: objects merge, all else is replaced.

    Null is a value like any other: it says "default", as everywhere in these files.
    """
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    return {**base, **{name: overlaid(base.get(name), value) for name, value in over.items()}}


def patch_of(declared: Declared, live: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the PATCH that brings the three states about; it may name what is so already.

    Under full ownership a key that the server shows and the file does not name is reset, and so
    are the leaves of an object and whole embedders; the fields of an embedder, and the template of
    a chat, are not, as nobody can tell what was set from what the engine filled in.
    """
    patch = {k: v for k, v in declared.settings.items() if k not in declared.unmanaged}
    if declared.ownership is Ownership.PARTIAL:
        return patch
    for key, shown in live.items():
        setting = BY_KEY.get(key)
        if setting is None or key in declared.unmanaged:
            continue
        if key not in patch:
            patch[key] = None
        elif setting.merges and isinstance(patch[key], Mapping) and isinstance(shown, Mapping):
            reset = dict.fromkeys(CHAT if key == "chat" else shown)
            patch[key] = {**reset, **_filled(patch[key], shown)}
    return patch


def _filled(wanted: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Reset the leaves of typo tolerance's inner object as well."""
    answer = dict(wanted)
    name = "minWordSizeForTypos"
    if isinstance(wanted.get(name), Mapping) and isinstance(shown.get(name), Mapping):
        answer[name] = {**dict.fromkeys(shown[name]), **wanted[name]}
    return answer


def _frame_faults(raw: Mapping[str, Any], index: str | None) -> Iterator[Fault]:
    for name in raw:
        if name not in _FIELDS:
            yield Fault(str(name), f"unknown; expected one of {_names(_FIELDS)}", "unknown-field")
    version = raw.get("apiVersion", API_VERSION)
    if version != API_VERSION:
        yield Fault("apiVersion", f"`{version}` is not `{API_VERSION}`", "version")
    if index is None and not isinstance(raw.get("index"), str):
        yield Fault("index", "the name of the index is missing", "no-index")
    if raw.get("ownership", "partial") not in tuple(Ownership):
        yield Fault("ownership", "expected `full` or `partial`", "ownership")
    if not isinstance(raw.get("settings"), Mapping):
        yield Fault("settings", "a mapping of settings is missing", "no-settings")
    unmanaged = raw.get("unmanaged") or []
    if not isinstance(unmanaged, list):
        yield Fault("unmanaged", "expected a list of keys", "unmanaged")
        return
    for key in unmanaged:
        if isinstance(raw.get("settings"), Mapping) and key in raw["settings"]:
            yield Fault("unmanaged", f"`{key}` is both here and in `settings`", "unmanaged")
        elif key not in BY_KEY:
            yield _unknown(f"unmanaged.{key}", str(key))


def _setting_faults(key: str, value: Any) -> Iterator[Fault]:
    if key not in BY_KEY:
        yield _unknown(f"settings.{key}", key)
    for found in check_value(key, value):
        yield _fault(key, found)


def _fault(key: str, found: Found) -> Fault:
    return Fault(f"settings.{key}{found.place}", found.says, found.rule, warning=found.warning)


def _unknown(place: str, key: str) -> Fault:
    near = difflib.get_close_matches(key, (*BY_KEY, *FRAGMENTS), n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ", so the engine will judge it"
    return Fault(place, f"this release knows no such setting{hint}", "unknown-key", warning=True)


def _names(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))

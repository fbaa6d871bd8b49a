"""
What stands between settings as declared and settings in force, and what closing the gap costs.

    (declared, live) -> IndexPlan: changes with their cost, the patch to send, what is left alone

Live settings are compared under each key's normal form, so equal settings make an empty plan and
no task. A secret that can only be seen as a mask is taken for unchanged while the mask fits. The
patch is the file's own delta: it never holds a value that a node has masked. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miroir.core import settings as rules
from miroir.core.engine_keys import CHAT, at_default, default_of, unsupported
from miroir.core.secret_places import Lookup, Path, kept, places, resolved
from miroir.core.setting_cost import Effect, effect, worst
from miroir.core.settings import EMBEDDERS, Cost
from miroir.core.settings_document import Declared, Ownership, patch_of

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """
    One key that changes.

    Attributes:
        before: In force now; may hold secrets.
        after: Wanted, complete; may hold secrets.
        resets: Whether it goes to the engine's default.
        named: Whether the file names it; else full ownership resets it.
    """

    key: str
    before: Any
    after: Any
    effect: Effect
    resets: bool
    named: bool


@dataclass(frozen=True)
class IndexPlan:
    """
    What has to happen to one index.

    Attributes:
        exists: Whether the index is there.
        patch: What to send; with secrets filled in. Empty: nothing to do.
        declared_patch: The same with references, fit to be kept.
        target: Complete settings that this leads to.
        unmanaged: Keys that are left alone though they are not at their default.
        missing: Places of secrets whose reference leads to none; what is in force is kept.
        masked: References whose secrets could be compared by their masks alone.
        refusals: Why this cannot be applied as it is.
        unsupported: Engine -> keys of the file that it does not know.
        hidden: Keys of the file that the server does not show, as a feature is off.
    """

    index: str
    exists: bool
    changes: tuple[Change, ...]
    patch: Mapping[str, Any]
    declared_patch: Mapping[str, Any]
    target: Settings
    unmanaged: tuple[str, ...] = ()
    missing: Mapping[Path, str] | None = None
    masked: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    unsupported: Mapping[str, tuple[str, ...]] | None = None
    hidden: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing has to be sent."""
        return not self.patch and self.exists

    @property
    def cost(self) -> Cost:
        """The dearest class among the changes."""
        return worst(change.effect for change in self.changes)


def plan(
    declared: Declared,
    live: Settings | None,
    engines: tuple[str, ...],
    lookup: Lookup,
    *,
    send_secrets: bool = False,
) -> IndexPlan:
    """
    Return what has to happen.

    Args:
        declared: Of this index, secrets by reference.
        live: Complete settings in force; None: the index is not there.
        engines: Versions of the nodes.
        lookup: Finds what a reference stands for.
        send_secrets: Whether to send secrets also where a mask fits: another one may be behind it.
    """
    engine = min(engines, default=None, key=_order)
    base = dict(live) if live is not None else rules.defaults()
    wanted = patch_of(declared, base)
    filled, missing = resolved(wanted, lookup)
    target = rules.resolve(base, _with_defaults(kept(filled, base, missing), engine))
    target = _with_chat(target, wanted.get("chat"))
    changed = _changed(wanted, target, base)
    masked = _masked(wanted, missing) if EMBEDDERS not in changed else ()
    if masked and send_secrets:
        changed.append(EMBEDDERS)
        masked = ()
    patch = {key: filled[key] for key in changed}
    changes = tuple(
        Change(key, base.get(key), target.get(key), effect(key, base, target),
               resets=wanted[key] is None, named=key in declared.settings)
        for key in changed
    )  # fmt: skip
    return IndexPlan(
        index=declared.index,
        exists=live is not None,
        changes=changes,
        patch=_with_synonyms(patch, target),
        declared_patch=_with_synonyms({key: wanted[key] for key in changed}, target),
        target=target,
        unmanaged=_left_alone(declared, base, engine),
        missing=missing,
        masked=masked,
        refusals=tuple(_refusals(patch, base, missing)),
        unsupported={e: keys for e in engines if (keys := unsupported(_said(wanted), e))},
        hidden=tuple(k for k in _said(wanted) if k in rules.BY_KEY and k not in base),
    )


def _changed(wanted: Settings, target: Settings, base: Settings) -> list[str]:
    """Return the keys to send; hidden ones are not shown."""
    changed = [key for key in rules.differences(target, base) if key in wanted]
    changed += [
        key for key in wanted if key not in base and key not in changed and _asks(wanted, key)
    ]
    return changed


def _masked(wanted: Settings, missing: Mapping[Path, str]) -> tuple[str, ...]:
    """The outermost `apiKey` alone is masked by nodes; other secrets are compared as they are."""
    return tuple(
        reference
        for path, reference in places(wanted)
        if len(path) == 2 and path[1] == "apiKey" and path not in missing
    )


def _with_defaults(patch: Settings, engine: str | None) -> dict[str, Any]:
    """Null leads to what this engine has; `resolve` alone would take the newest one's."""
    older = {k: default_of(k, engine) for k in patch if k in rules.BY_KEY}
    return {
        k: older[k] if v is None and k in older and older[k] != rules.BY_KEY[k].default else v
        for k, v in patch.items()
    }


def _with_chat(target: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """A leaf of `chat` that is null is shown as its default; the template's is not known."""
    if not isinstance(wanted, Mapping):
        return target
    nulls = {name for name, value in wanted.items() if value is None}
    said = {name: value for name, value in target["chat"].items() if name not in nulls}
    return {**target, "chat": {**said, **{name: CHAT[name] for name in nulls if name in CHAT}}}


def _with_synonyms(patch: dict[str, Any], target: Settings) -> dict[str, Any]:
    """A node computes synonyms with the stop words of the moment they are written in."""
    if "stopWords" in patch and target.get("synonyms"):
        return {**patch, "synonyms": target["synonyms"]}
    return patch


def _left_alone(declared: Declared, base: Settings, engine: str | None) -> tuple[str, ...]:
    if declared.partly:
        return ()
    return tuple(
        key
        for key, value in base.items()
        if (key not in declared.settings or key in declared.unmanaged)
        and (declared.ownership is Ownership.PARTIAL or key in declared.unmanaged)
        and not at_default(key, value, engine)
    )


def _refusals(patch: Settings, base: Settings, missing: Mapping[Path, str]) -> list[str]:
    """A missing secret can stay what it is only where a node merges it in by itself."""
    said = []
    old, new = base.get(EMBEDDERS) or {}, patch.get(EMBEDDERS) or {}
    for path, reference in missing.items():
        name = path[0]
        if name not in new:
            continue
        place = ".".join((EMBEDDERS, *path))
        stays = path[1:] == ("apiKey",) and "apiKey" in (old.get(name) or {})
        same = (old.get(name) or {}).get("source") == (new[name] or {}).get("source")
        if not (stays and same):
            said.append(f"`{place}` needs `{reference}`, and there is no such secret here")
    return said


def _said(wanted: Settings) -> tuple[str, ...]:
    return tuple(key for key in wanted if wanted[key] is not None)


def _asks(wanted: Settings, key: str) -> bool:
    """Whether a key that is not shown has to be sent: to reset it is nothing to do."""
    return wanted[key] is not None


def _order(engine: str) -> tuple[int, ...]:
    return tuple(int(part) for part in engine.split(".") if part.isdigit())

"""
Drift: a node shows settings that were not committed. What was seen -> what to do, or why not.

Fed by the reconciler with read-backs taken while no change of the index was open. Nodes of another
engine version than any committed read-back are judged by the keys that both know, and by what each
engine has by default, never by their fingerprint: version skew is not drift. Same change on every
node is still drift.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from miroir.core import settings as rules
from miroir.core.features import class_shown
from miroir.core.fingerprint import fingerprint

_FRESH: Final[tuple[Mapping[str, Any], ...]] = (
    {"rankingRules": rules.BY_KEY["rankingRules"].default},
    {"rankingRules": ["words", "typo", "proximity", "attribute", "sort", "exactness"]},
)
"""Defaults that are known to differ: of 1.36 and later, and of earlier engines."""


class State(StrEnum):
    """What one look at a node found."""

    SYNCED = "synced"
    DRIFTED = "drifted"
    MISSING = "missing"


class Mode(StrEnum):
    """What an index wants done about foreign changes."""

    REPAIR = "repair"
    ALERT = "alert"
    ADOPT = "adopt"
    OFF = "off"
    """They are not looked for. What a change of ours left behind is brought up all the same."""


@dataclass(frozen=True)
class Finding:
    """
    One look at one node for one index.

    Attributes:
        state: See `State`.
        fingerprint: Of what it shows; empty when the index is missing.
        faults: The keys that differ, or `fingerprint` when no key can be named.
        ignored: Keys that differ as well, and are to be left alone.
    """

    state: State
    fingerprint: str
    faults: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def look(
    desired: Mapping[str, Any],
    fingerprints: Mapping[str, str],
    engine: str,
    seen: Mapping[str, Any] | None,
    fresh: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Finding:
    """
    Judge a read-back.

    Args:
        desired: Committed settings with true secrets.
        fingerprints: Engine version -> fingerprint of the committed read-back.
        engine: Class of the node that was read, as old as its last health check.
        seen: What it showed, or None if it does not have the index.
        fresh: Engine version -> what it shows of a fresh index, as far as that is known.
    """
    if seen is None:
        return Finding(State.MISSING, "", ("index: missing",))
    shown = fingerprint(seen)
    committed = fingerprints.get(class_shown(engine, seen))
    faults = rules.differences(desired, seen)
    if committed is None:
        known, own = (*_FRESH, *fresh.values()), (*_FRESH, fresh.get(engine, {}))
        faults = tuple(
            key
            for key in faults
            if not (_is_default(key, desired[key], known) and _is_default(key, seen.get(key), own))
        )
    if committed == shown and rules.EMBEDDERS not in faults:  # Masks are no part of a fingerprint.
        return Finding(State.SYNCED, shown, ())
    if not faults and committed is None:
        return Finding(State.SYNCED, shown, ())
    return Finding(State.DRIFTED, shown, faults or ("fingerprint",))


def _is_default(key: str, value: Any, engines: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of these engines has this value where nobody has set any."""
    return any(key in defaults and value == defaults[key] for defaults in engines)


def leaving_alone(finding: Finding, keys: Collection[str]) -> Finding:
    """
    Return what is left of a finding when foreign values of these keys are no fault.

    A node with no other fault counts as right. What cannot be named by a key stays a fault.
    """
    passed = tuple(key for key in finding.faults if key in keys)
    if finding.state is not State.DRIFTED or not passed:
        return finding
    left = tuple(key for key in finding.faults if key not in keys)
    state = State.DRIFTED if left else State.SYNCED
    return replace(finding, state=state, faults=left, ignored=passed)


class Action(StrEnum):
    """What to do about a finding."""

    NOTHING = "nothing"
    REPAIR = "repair"
    ALERT = "alert"
    ADOPT = "adopt"


@dataclass(frozen=True)
class Watch:
    """
    What is remembered of one (index, node) between looks.

    Attributes:
        repairs: Repairs opened since it last stayed right for `repairs_max` looks.
        steady: Looks in a row that found it right.
        version: Of the settings that they were repairs to.
    """

    repairs: int = 0
    steady: int = 0
    version: int = 0

    def at(self, version: int) -> "Watch":
        """Return what it says of a version: a change that left the node behind undid no repair."""
        return self if version == self.version else Watch(version=version)

    def open(self, repairs_max: int) -> bool:
        """Whether the breaker is open: no more repairs until it stays right or is closed."""
        return self.repairs >= repairs_max


def decide(
    watch: Watch,
    finding: Finding,
    *,
    mode: Mode,
    repairs_max: int,
    sure: bool = True,
    adoptable: bool | None = None,
) -> tuple[Watch, Action]:
    """
    Decide what follows from a look.

    A repair that does not hold `repairs_max` times opens the breaker: from then on alert only,
    instead of reindexing for ever against somebody else's tool. A missing index is never
    re-created here.

    Args:
        watch: What was remembered.
        finding: What was seen.
        mode: What the index wants.
        repairs_max: See above.
        sure: Whether what was seen is all there is. A node that was left behind may keep an old
            secret behind an equal mask: it is sent the settings once more.
        adoptable: Of a foreign change: whether anything of it can be adopted. None: it is not
            known to be one; what a node shows that was merely left behind is old, not wanted.
    """
    if finding.state is State.SYNCED and sure:
        steady = watch.steady + 1
        repairs = 0 if steady >= repairs_max else watch.repairs
        return replace(watch, repairs=repairs, steady=steady), Action.NOTHING
    if finding.state is State.MISSING or mode is Mode.ALERT or watch.open(repairs_max):
        return replace(watch, steady=0), Action.ALERT
    if mode is Mode.ADOPT and adoptable is False and finding.state is State.DRIFTED:
        return replace(watch, steady=0), Action.ALERT
    action = Action.ADOPT if mode is Mode.ADOPT and adoptable else Action.REPAIR
    return replace(watch, repairs=watch.repairs + 1, steady=0), action


def refunded(watch: Watch) -> Watch:
    """Take back a repair that never reached its node: it says nothing about holding."""
    return replace(watch, repairs=max(0, watch.repairs - 1))


def adoption(
    desired: Mapping[str, Any], seen: Mapping[str, Any], only: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """
    Return the patch that makes what a node shows the wanted settings; empty: nothing can be taken.

    Exactly the difference, in whole values. A masked key is never taken over: an embedder shown
    with the mask of the key in force keeps that key; with another mask its key is not known, and
    the embedders stay as they are.

    Args:
        desired: Committed settings with true secrets.
        seen: What the node shows, masked.
        only: Of a node whose engine has a form of its own: the keys that differ. None: judge by
            the letter.
    """
    keys = desired if only is None else only
    shown = {key: value for key, value in seen.items() if key in keys and key in desired}
    if rules.EMBEDDERS in shown:
        embedders = _unmasked(desired.get(rules.EMBEDDERS) or {}, shown[rules.EMBEDDERS] or {})
        if embedders is None:
            del shown[rules.EMBEDDERS]
        else:
            shown[rules.EMBEDDERS] = embedders
    return rules.exact_patch(desired, shown)


def _unmasked(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return embedders with the keys in force in the place of their masks; None: others."""
    masks = rules.shown({rules.EMBEDDERS: wanted})[rules.EMBEDDERS]
    found: dict[str, Any] = {}
    for name, value in seen.items():
        found[name] = value
        if not isinstance(value, Mapping) or value.get("apiKey") is None:
            continue
        if (masks.get(name) or {}).get("apiKey") != value["apiKey"]:
            return None
        found[name] = {**value, "apiKey": wanted[name]["apiKey"]}
    return found

"""
Drift: a node shows settings that were not committed. What was seen -> what to do, or why not.

Fed by the reconciler with read-backs taken while no change of the index was open. Nodes of another
engine version than any committed read-back are judged by the keys that both know, never by their
fingerprint: version skew is not drift. Same change on every node is still drift.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from miroir.core import settings as rules
from miroir.core.fingerprint import fingerprint


class State(StrEnum):
    """What one look at a node found."""

    SYNCED = "synced"
    DRIFTED = "drifted"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """
    One look at one node for one index.

    Attributes:
        state: See `State`.
        fingerprint: Of what it shows; empty when the index is missing.
        faults: The keys that differ, or `fingerprint` when no key can be named.
    """

    state: State
    fingerprint: str
    faults: tuple[str, ...]


def look(
    desired: Mapping[str, Any],
    fingerprints: Mapping[str, str],
    engine: str,
    seen: Mapping[str, Any] | None,
) -> Finding:
    """
    Judge a read-back.

    Args:
        desired: Committed settings with true secrets.
        fingerprints: Engine version -> fingerprint of the committed read-back.
        engine: Version of the node that was read.
        seen: What it showed, or None if it does not have the index.
    """
    if seen is None:
        return Finding(State.MISSING, "", ("index: missing",))
    shown = fingerprint(seen)
    committed = fingerprints.get(engine)
    faults = rules.differences(desired, seen)
    if committed == shown and rules.EMBEDDERS not in faults:  # Masks are no part of a fingerprint.
        return Finding(State.SYNCED, shown, ())
    if not faults and committed is None:
        return Finding(State.SYNCED, shown, ())
    return Finding(State.DRIFTED, shown, faults or ("fingerprint",))


class Action(StrEnum):
    """What to do about a finding."""

    NOTHING = "nothing"
    REPAIR = "repair"
    ALERT = "alert"


@dataclass(frozen=True)
class Watch:
    """
    What is remembered of one (index, node) between looks.

    Attributes:
        repairs: Repairs opened since it last stayed right for `repairs_max` looks.
        steady: Looks in a row that found it right.
    """

    repairs: int = 0
    steady: int = 0


def decide(
    watch: Watch, finding: Finding, *, auto_repair: bool, repairs_max: int, sure: bool = True
) -> tuple[Watch, Action]:
    """
    Decide what follows from a look.

    A repair that does not hold `repairs_max` times opens the breaker: from then on alert only,
    instead of reindexing for ever against somebody else's tool. A missing index is never
    re-created here.

    Args:
        watch: What was remembered.
        finding: What was seen.
        auto_repair: False: report only.
        repairs_max: See above.
        sure: Whether what was seen is all there is. A node that was left behind may keep an old
            secret behind an equal mask: it is sent the settings once more.
    """
    if finding.state is State.SYNCED and sure:
        steady = watch.steady + 1
        repairs = 0 if steady >= repairs_max else watch.repairs
        return Watch(repairs, steady), Action.NOTHING
    if finding.state is State.MISSING or not auto_repair or watch.repairs >= repairs_max:
        return replace(watch, steady=0), Action.ALERT
    return Watch(watch.repairs + 1, steady=0), Action.REPAIR


def refunded(watch: Watch) -> Watch:
    """Take back a repair that never reached its node: it says nothing about holding."""
    return replace(watch, repairs=max(0, watch.repairs - 1))

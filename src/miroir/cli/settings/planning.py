"""
From files and a server to a plan with costs, and from a saved plan back to what it was made for.

The comparison itself is pure (`core/settings_plan.py`); here is what has to be asked of a server
for it: what is in force, how many documents, which engines, and how long such things took before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from miroir.cli.faults import UsageFault
from miroir.cli.settings.connect import look_up
from miroir.cli.settings.documents import Base
from miroir.cli.settings.files import FileFault, Loaded, load
from miroir.cli.settings.target import Live, Moved, Target
from miroir.core.estimate import Estimate, estimate
from miroir.core.settings_document import Declared
from miroir.core.settings_plan import IndexPlan, plan


@dataclass(frozen=True)
class Planned:
    """
    What has to happen to one index, and what it will cost here.

    Attributes:
        lagging: Node -> keys of the file that its engine does not know.
    """

    declared: Declared
    live: Live
    plan: IndexPlan
    estimate: Estimate | None
    lagging: dict[str, tuple[str, ...]]


class UnsoundFiles(UsageFault):
    """
    Files with faults.

    Attributes:
        faults: All of them, warnings too.
    """

    def __init__(self, faults: tuple[FileFault, ...], path: Path) -> None:
        lines = [said(found) for found in faults if not found.fault.warning]
        more = f"\n  ... and {len(lines) - 10} more" if len(lines) > 10 else ""
        super().__init__(
            "these files cannot be used as they are:\n  "
            + "\n  ".join(lines[:10])
            + f"{more}\nsee everything with `miroir settings validate {path}`"
        )
        self.faults = faults


def said(found: FileFault) -> str:
    """Return a fault in one line."""
    at = f"{found.file}:{found.line}" if found.line else found.file
    place = f"{found.fault.place}: " if found.fault.place else ""
    return f"{at}: {place}{found.fault.says}"


def load_sound(path: Path, environment: str | None, only: Iterable[str]) -> Loaded:
    """
    Return what files declare, perhaps for some indexes only.

    Raises:
        UsageFault: They have faults, or an index is not in them.
    """
    loaded = load(path, environment)
    if not loaded.sound:
        raise UnsoundFiles(loaded.faults, path)
    wanted = tuple(only)
    known = {declared.index for declared in loaded.declared}
    for index in wanted:
        if index not in known:
            raise UsageFault(
                f"{path} says nothing of `{index}`; it has {', '.join(sorted(known))}"
            )
    chosen = tuple(d for d in loaded.declared if not wanted or d.index in wanted)
    return Loaded(chosen, loaded.faults)


def plan_all(
    target: Target,
    declared: Iterable[Declared],
    *,
    estimates: bool = True,
    send_secrets: bool = False,
) -> tuple[Planned, ...]:
    """Return a plan for every index, in the order of the files; estimates cost a few requests."""
    nodes = target.nodes()
    engines = tuple(dict.fromkeys(n.engine for n in nodes if n.engine))
    planned = []
    for one in declared:
        live = target.live(one.index)
        made = plan(one, live.settings, engines, look_up, send_secrets=send_secrets)
        by_engine = made.unsupported or {}
        planned.append(
            Planned(
                one,
                live,
                made,
                _estimate(target, made, live) if estimates else None,
                {n.name: by_engine[n.engine] for n in nodes if n.engine and n.engine in by_engine},
            )
        )
    return tuple(planned)


def check_base(planned: Planned, base: Base) -> None:
    """Raise `Moved` if an index is no longer what a saved plan was made for."""
    live = planned.live
    if (live.version, live.fingerprint) != (base.version, base.fingerprint):
        now = (
            ""
            if live.version is None
            else f" (planned upon version {base.version}, now {live.version})"
        )
        raise Moved(
            f"`{live.index}` has moved since the plan was made{now}; make it again: miroir "
            "settings plan --out"
        )


def refuse_unfit(planned: Iterable[Planned]) -> None:
    """Raise `UsageFault` if something of a plan cannot be sent as it is."""
    lines = [
        f"`{each.plan.index}`: {refusal}" for each in planned for refusal in each.plan.refusals
    ]
    if lines:
        raise UsageFault("this cannot be applied:\n  " + "\n  ".join(lines))


def _estimate(target: Target, made: IndexPlan, live: Live) -> Estimate | None:
    if made.empty or not made.changes or not live.documents:
        return None
    past = target.past(made.index)
    halves = 2 if live.second_cover else 1
    return estimate(
        made.index, made.cost, live.documents, past.changes, past.writes, halves=halves
    )

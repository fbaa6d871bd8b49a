"""
Carrying plans out: one index after the other, each followed to its end; the first failure stops.

What was done before a failure stays done and is said. A change that has to be confirmed is, on
Miroir, undone by Miroir; on a plain Meilisearch this process is the only one that could undo it.
"""

import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.text import Text

from miroir.cli.admin_client import NoAnswer, Refused
from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.documents import AppliedForm
from miroir.cli.settings.durations import moment, words
from miroir.cli.settings.follow import StillRunning, follow
from miroir.cli.settings.picture import Hanging
from miroir.cli.settings.planning import Planned
from miroir.cli.settings.target import Moved, Order, Target, Ticket, Unfit
from miroir.core import settings as rules
from miroir.core.rollback import patch as patch_to
from miroir.core.secret_places import places, scrubbed

_LOOK_S: Final = 0.5


@dataclass(frozen=True)
class Wishes:
    """
    How a change is to be made.

    Attributes:
        wait: Whether to follow it to its end.
        confirm_s: It undoes itself after this time unless it is confirmed; None: it stays.
    """

    wait: bool = True
    timeout_s: float = 3600.0
    confirm_s: int | None = None
    canary: Any = None
    by: str = ""
    reason: str = ""


def check_wishes(
    target: Target, planned: Sequence[Planned], wishes: Wishes, *, asks: bool
) -> None:
    """Raise `Unfit` if this server cannot change settings in the way that is wished."""
    changing = [each for each in planned if not each.plan.empty]
    if wishes.canary is not None and target.versioned:
        for each in changing:
            if not each.live.second_cover:
                raise Unfit(
                    f"golden queries need a second cover, and `{each.live.index}` would change in "
                    f"the form: {each.live.form}; leave --canary out"
                )
    if wishes.confirm_s is None or target.versioned:
        return
    if not wishes.wait:
        raise Unfit(
            "--confirm needs --wait on one plain Meilisearch: only this command can undo the "
            "change there, and killing it prevents that"
        )
    if not asks:
        raise Unfit(
            "--confirm asks on the terminal on one plain Meilisearch, and there is none; leave it "
            "out, or go through Miroir, which undoes changes by itself"
        )
    for each in changing:
        if any(change.key == rules.EMBEDDERS for change in each.plan.changes):
            raise Unfit(
                f"`{each.live.index}`: embedders cannot be undone on a plain Meilisearch, as it "
                "does not tell their keys; change them without --confirm"
            )


def carry_out(
    target: Target, planned: Sequence[Planned], wishes: Wishes, console: Console
) -> list[AppliedForm]:
    """Return what became of every index; the first failure stops the rest."""
    outcomes: list[AppliedForm] = []
    failed = False
    for each in planned:
        if each.plan.empty:
            outcomes.append(AppliedForm(index=each.plan.index, outcome="unchanged"))
        elif failed:
            outcomes.append(AppliedForm(index=each.plan.index, outcome="not started"))
        else:
            outcomes.append(_one(target, each, wishes, console))
            failed = outcomes[-1].outcome == "failed"
    return outcomes


def carry_out_on_trial(
    target: Target, planned: Sequence[Planned], wishes: Wishes, console: Console
) -> list[AppliedForm]:
    """Carry out on a plain Meilisearch; undo unless somebody says in time that it stays."""
    assert wishes.confirm_s is not None
    with Declined() as declined:
        outcomes = carry_out(target, planned, wishes, console)
        if not any(outcome.outcome == "applied" for outcome in outcomes):
            return outcomes
        if _said_yes(console, wishes.confirm_s, declined):
            return outcomes
        console.print("undoing ...")
        return _all_undone(target, planned, outcomes, wishes, console)


def _all_undone(
    target: Target,
    planned: Sequence[Planned],
    outcomes: list[AppliedForm],
    wishes: Wishes,
    console: Console,
) -> list[AppliedForm]:
    by_index = {each.plan.index: each for each in planned}
    return [
        _undone(target, by_index[outcome.index], outcome, wishes, console)
        if outcome.outcome == "applied"
        else outcome
        for outcome in reversed(outcomes)
    ][::-1]


def outcome_picture(target: Target, outcomes: Sequence[AppliedForm]) -> RenderableType:
    """Return what became of each index, and what to do next where something is left to do."""
    colours = {"applied": "green", "unchanged": "green", "failed": "bold red", "undone": "yellow"}
    lines: list[RenderableType] = []
    for outcome in outcomes:
        version = "" if outcome.version is None else f" as version {outcome.version}"
        took = "" if outcome.seconds is None else f" in {words(outcome.seconds)}"
        word = outcome.outcome
        lines.append(
            Text.assemble(
                (f"{word:<12}", colours.get(word, "yellow")),
                (outcome.index, "bold"),
                f"{version}{took}" if word != "unchanged" else "  no task was sent",
            )
        )
        if outcome.error:
            lines.append(Hanging(Text(f"            {outcome.error}"), 12))
        if outcome.confirm_until:
            keep = f"miroir settings confirm {outcome.index} --url {target.url}"
            lines.append(
                Text(f"            undoes itself at {moment(outcome.confirm_until)} unless:")
            )
            lines.append(Text(f"            {keep}", "bold"))
    if any(outcome.outcome == "failed" for outcome in outcomes):
        lines.append(Text("the first failure stops the rest; correct it, then plan again", "red"))
    if any(outcome.outcome == "accepted" for outcome in outcomes):
        lines.append(
            Text(f"not waited for; see it with `miroir settings watch --url {target.url}`")
        )
    return Group(*lines)


def _one(target: Target, each: Planned, wishes: Wishes, console: Console) -> AppliedForm:
    order = Order(
        each.plan.index,
        each.plan.patch,
        each.plan.target,
        each.live,
        by=wishes.by,
        reason=wishes.reason,
        confirm_s=wishes.confirm_s,
        canary=wishes.canary,
    )
    try:
        ticket = target.submit(order)
    except (Refused, Moved, NoAnswer) as fault:
        return AppliedForm(index=order.index, outcome="failed", error=_told(fault, order))
    return followed(target, ticket, wishes, console, each)


def followed(
    target: Target,
    ticket: Ticket,
    wishes: Wishes,
    console: Console,
    each: Planned | None = None,
) -> AppliedForm:
    """Follow an accepted change, if that is wished, and return what became of it."""
    index = ticket.order.index
    form = AppliedForm(index=index, outcome="accepted", task=ticket.task, intent=ticket.intent)
    if not wishes.wait:
        return form
    guess = each.estimate if each else None
    try:
        ended = follow(target, ticket, console, timeout_s=wishes.timeout_s, guess=guess)
    except (StillRunning, NoAnswer, Refused) as fault:
        error = _told(fault, ticket.order)
        return form.model_copy(update={"outcome": "failed", "error": error})
    done = ended.progress.state == "succeeded"
    until = None
    if done and wishes.confirm_s is not None and target.versioned:
        until = str((target.live(index).unconfirmed or {}).get("until") or "") or None
    return form.model_copy(
        update={
            "outcome": "applied" if done else "failed",
            "version": ended.progress.version,
            "seconds": round(ended.seconds, 2),
            "error": None if done else _told(ended.progress.error, ticket.order),
            "confirm_until": until,
        }
    )


def _told(error: object, order: Order) -> str:
    """Return what went wrong; engines quote what they were sent."""
    return scrubbed(str(error), (secret for _, secret in places(order.patch)))


def _undone(
    target: Target, each: Planned, outcome: AppliedForm, wishes: Wishes, console: Console
) -> AppliedForm:
    live = target.live(outcome.index)
    before = each.live.settings or rules.defaults()
    patch = patch_to([live.settings or {}], before)
    order = Order(outcome.index, patch, before, live, by=wishes.by, reason="not confirmed")
    try:
        ticket = target.submit(order)
    except CliFault as fault:
        return outcome.model_copy(update={"outcome": "failed", "error": f"not undone: {fault}"})
    back = followed(target, ticket, Wishes(timeout_s=wishes.timeout_s), console)
    said = "undone" if back.outcome == "applied" else "failed"
    return back.model_copy(update={"outcome": said})


class Declined:
    """
    Ctrl-C as a no: a change that only this process can undo must not lose it half way.

    A context manager; truth is whether somebody has declined.
    """

    def __init__(self) -> None:
        self._said = False
        self._before: Any = None

    def __bool__(self) -> bool:
        return self._said

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: object) -> None:
        self._said = True


def _said_yes(console: Console, seconds: int, declined: Declined) -> bool:
    """Ask until the time is over; Ctrl-C and the end of input mean no."""
    if not declined:
        console.print(
            f"keep this? type yes within {words(seconds)}, or it is undone (also on Ctrl-C; "
            "killing this command prevents the undo)"
        )
    deadline_s = time.monotonic() + seconds
    while not declined and (left_s := deadline_s - time.monotonic()) > 0:
        ready, _, _ = select.select([sys.stdin], [], [], min(_LOOK_S, left_s))
        if not ready:
            continue
        said = sys.stdin.readline()
        if not said or said.strip().lower() in {"n", "no"}:
            return False
        if said.strip().lower() in {"y", "yes"}:
            return True
        console.print("yes or no?")
    return False


def ask(question: str, console: Console) -> None:
    """Ask for a yes; `UsageFault` without one."""
    console.print(f"{question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageFault("nothing was changed")

"""
Following accepted changes: a live picture on a terminal, a line for each step elsewhere.

Ctrl-C stops the following, never the change. What is shown of each node is what it tells: its
state, and the percentage of its batch where that can be asked. The time left is an estimate, from
the plan's, or from how those percentages move.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live as LivePicture
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from miroir.cli.admin_client import NoAnswer
from miroir.cli.faults import CliFault
from miroir.cli.settings.durations import words
from miroir.cli.settings.target import Progress, Running, Target, Ticket
from miroir.core.estimate import Estimate

_POLL_S: Final = 0.2
_BAR: Final = 24
_STATES: Final = {
    # of a node in Miroir's protocol, or of a task: what people read, colour
    "untouched": ("waits its turn", "dim"),
    "sending": ("is being asked", "cyan"),
    "unanswered": ("has not answered", "yellow"),
    "sent": ("at work", "cyan"),
    "ended": ("done, to be read", "cyan"),
    "reading": ("read back", "cyan"),
    "verified": ("verified", "green"),
    "different": ("shows other values", "yellow"),
    "rejected": ("refused", "red"),
    "silent": ("silent", "red"),
    "enqueued": ("in its queue", "yellow"),
    "processing": ("at work", "cyan"),
    "succeeded": ("done", "green"),
    "failed": ("failed", "red"),
}


class StillRunning(CliFault):
    """The time given for waiting is over; the change is not."""


@dataclass(frozen=True)
class Followed:
    """How a change ended, and how long it was waited for."""

    progress: Progress
    seconds: float


def follow(
    target: Target,
    ticket: Ticket,
    console: Console,
    *,
    timeout_s: float,
    guess: Estimate | None = None,
) -> Followed:
    """
    Wait for a change and show it.

    Raises:
        StillRunning: It has not ended in time; it goes on.
    """
    index, began_s = ticket.order.index, time.monotonic()

    def passed_s() -> float:
        return time.monotonic() - began_s

    def remedy() -> str:
        return f"see it with `miroir settings watch --url {target.url}`"

    try:
        if console.is_terminal:
            with LivePicture(console=console, refresh_per_second=8, transient=True) as picture:
                ended = _until_ended(
                    target, ticket, timeout_s, passed_s,
                    lambda seen: picture.update(_picture(index, seen, passed_s(), guess)),
                )  # fmt: skip
        else:
            ended = _until_ended(target, ticket, timeout_s, passed_s, _Lines(index, console))
    except KeyboardInterrupt:
        console.print(f"the change of `{index}` goes on without this command; {remedy()}")
        raise
    except NoAnswer as error:
        raise NoAnswer(
            f"{error}; the change of `{index}` was accepted as task {ticket.task} and may go on: "
            f"{remedy()}"
        ) from error
    if ended is None:
        raise StillRunning(
            f"the change of `{index}` (task {ticket.task}) has not ended after "
            f"{words(timeout_s)}; it goes on: {remedy()}"
        )
    return Followed(ended, passed_s())


def settle(target: Target, index: str, timeout_s: float) -> None:
    """
    Wait until no change of an index is under way: until then what is in force is not what will be.

    Raises:
        StillRunning: Not in time.
    """
    deadline_s = time.monotonic() + timeout_s
    while any(running.index == index for running in target.running()):
        if time.monotonic() > deadline_s:
            raise StillRunning(
                f"another change of `{index}` is under way; see it with `miroir settings watch`"
            )
        time.sleep(_POLL_S)


def running_picture(running: tuple[Running, ...]) -> RenderableType:
    """Return every change that is under way."""
    if not running:
        return Text("no change of settings is under way", "green")
    parts: list[RenderableType] = []
    for each in running:
        head = Text.assemble((each.index, "bold"), f"  {each.what}  ", each.progress.phase)
        left = each.left_s if each.left_s is not None else _left_s(each.progress, 0.0, None)
        head.append(_left(left), "dim")
        parts += [head, _nodes(each.progress), Text()]
    return Group(*parts[:-1])


def _until_ended(
    target: Target,
    ticket: Ticket,
    timeout_s: float,
    passed_s: Callable[[], float],
    show: Callable[[Progress], None],
) -> Progress | None:
    while True:
        seen = target.progress(ticket)
        show(seen)
        if seen.state in {"succeeded", "failed"}:
            return seen
        if passed_s() > timeout_s:
            return None
        time.sleep(_POLL_S)


class _Lines:
    """A line whenever something changes, for logs."""

    def __init__(self, index: str, console: Console) -> None:
        self._index = index
        self._console = console
        self._last = ""

    def __call__(self, seen: Progress) -> None:
        nodes = ", ".join(f"{n.name} {n.state} {_percent(n.percent)}".strip() for n in seen.nodes)
        line = f"{self._index}: {seen.phase}" + (f" ({nodes})" if nodes else "")
        if line != self._last:
            self._last = line
            self._console.print(line)


def _picture(
    index: str, seen: Progress, passed_s: float, guess: Estimate | None
) -> RenderableType:
    head = Text.assemble((index, "bold"), f"  {seen.phase}  {words(passed_s)}")
    return Group(head.append(_left(_left_s(seen, passed_s, guess)), "dim"), _nodes(seen))


def _left_s(seen: Progress, passed_s: float, guess: Estimate | None) -> float | None:
    """Past changes first: a percentage counts steps, and steps are of very different length."""
    if guess is not None and guess.high_s > passed_s:
        return guess.high_s - passed_s
    return max((node.left_s for node in seen.nodes if node.left_s is not None), default=None)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", about {words(seconds)} left (estimate)"


def _nodes(seen: Progress) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for number, column in enumerate(("name", "state", "bar", "percent", "said")):
        table.add_column(no_wrap=column != "said", justify="right" if number == 3 else "left")
    for node in seen.nodes:
        word, colour = _STATES.get(node.state, (node.state, ""))
        done = node.percent
        if done is None and node.state in {"succeeded", "verified"}:
            done = 100.0
        bar: RenderableType = ProgressBar(100, done, _BAR) if done is not None else Text()
        inner = Text(" > ".join(node.step.split(" > ")[-2:]), "dim", no_wrap=True)
        said = Text(node.error, "red") if node.error else inner
        table.add_row(f"  {node.name}", Text(word, colour), bar, _percent(done), said)
    return table


def _percent(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.0f} %"

"""
How the demo looks: headings, a settings change as it runs, proofs, the summary.

On a terminal a change is one table that fills in place; elsewhere each new state is a line. Only
drawing: what is said and what is proved is decided in demo.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

# Phases of an intent in their order, as short words: the line must fit on 80 columns.
_PHASES: Final[Mapping[str, str]] = {
    "probing": "probe",
    "proposing": "propose",
    "verifying": "verify",
    "committing": "commit",
    "converged": "converged",
}
_FINGERPRINT_CHARS: Final = 12
_STEPS: Final = ("proposed", "applied", "verified")
# Node states of an intent -> column of the table.
_COLUMNS: Final[Mapping[str, str]] = {
    "sending": "proposed",
    "sent": "proposed",
    "ended": "applied",
    "verified": "verified",
}
_TROUBLE: Final = frozenset({"unanswered", "silent", "rejected", "different"})


@dataclass
class ChangeSeen:
    """
    One settings change as it was seen from outside.

    Attributes:
        phases: Phase -> seconds since the request when it was first seen.
        nodes: Node -> column -> seconds, likewise.
        states: Node -> its last state.
        fingerprints: Node -> its last fingerprint.
        intent: The last look, as the API showed it.
    """

    node_ids: tuple[str, ...]
    phases: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, dict[str, float]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)
    intent: Mapping[str, Any] = field(default_factory=dict)

    def look(self, intent: Mapping[str, Any], elapsed_s: float) -> list[str]:
        """Take one look in; return what is new, in words."""
        self.intent = intent
        news = []
        if intent["phase"] not in self.phases:
            self.phases[intent["phase"]] = elapsed_s
            news.append(intent["phase"])
        for name, progress in intent["nodes"].items():
            state = progress["state"]
            if state != self.states.get(name):
                self.states[name] = state
                news.append(f"{name} {state}")
            column = _COLUMNS.get(state)
            if column:
                self._reached(name, column, elapsed_s)
            if progress.get("fingerprint"):
                self.fingerprints[name] = progress["fingerprint"]
        return news

    def _reached(self, name: str, column: str, elapsed_s: float) -> None:
        """Note a time; steps before it that were too quick to be seen were over by then too."""
        times = self.nodes.setdefault(name, {})
        for step in _STEPS[: _STEPS.index(column) + 1]:
            times.setdefault(step, elapsed_s)


class DemoView:
    """Draws on one console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """Say what this is."""
        self._console.print(Text(text, "bold"))

    def step(self, number: int, text: str) -> None:
        """Begin a step."""
        self._heading(f"{number}. {text}", "cyan")

    def say(self, text: str) -> None:
        """Tell something."""
        self._line(Text(text))

    def request(self, text: str) -> None:
        """Show a request that is being sent."""
        self._line(Text("> " + text, "bold blue"))

    def hits(self, hits: list[Mapping[str, Any]], attributes: tuple[str, ...]) -> None:
        """Show the first hits."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for hit in hits:
            table.add_row(*(Text(str(hit.get(name, ""))[:40]) for name in attributes))
        self._console.print(Padding(table, (0, 0, 0, 4)))

    def proof(self, ok: bool, text: str) -> None:
        """Show one check."""
        mark = ("✓ ", "bold green") if ok else ("✗ ", "bold red")
        self._line(Text.assemble(mark, text))

    @contextmanager
    def change(self, node_ids: tuple[str, ...]) -> Iterator["ChangeView"]:
        """Show a change while it runs."""
        seen = ChangeSeen(node_ids)
        if not self._console.is_terminal:
            yield ChangeView(seen, self._console, None)
            self._console.print(_indented(seen))
            return
        with Live(_indented(seen), console=self._console, refresh_per_second=20) as live:
            yield ChangeView(seen, self._console, live)

    def summary(self, proofs: list[tuple[bool, str]], took_s: float) -> None:
        """Show all checks once more, and the verdict."""
        failed = sum(not ok for ok, _ in proofs)
        colour = "red" if failed else "green"
        self._heading("What was proved", colour)
        for ok, text in proofs:
            self.proof(ok, text)
        verdict = (
            f"{failed} of {len(proofs)} checks failed"
            if failed
            else f"all {len(proofs)} checks hold"
        )
        self._console.print(Text(f"\n{verdict}; {took_s:.0f} s", f"bold {colour}"))

    def _heading(self, text: str, colour: str) -> None:
        self._console.print()
        heading = Text(text, f"bold {colour}")
        if self._console.is_terminal:
            self._console.print(Rule(heading, align="left", style=colour))
        else:
            self._console.print(heading)

    def _line(self, text: Text) -> None:
        """Wrap within the indent on a terminal; elsewhere a line stays a line."""
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, 2)))
        else:
            self._console.print(Text("  ") + text, soft_wrap=True)


class ChangeView:
    """A change being drawn."""

    def __init__(self, seen: ChangeSeen, console: Console, live: Live | None) -> None:
        self.seen = seen
        self._console = console
        self._live = live

    def look(self, intent: Mapping[str, Any], elapsed_s: float) -> None:
        """Take one look in and show what is new."""
        news = self.seen.look(intent, elapsed_s)
        if self._live:
            self._live.update(_indented(self.seen))
        elif news:
            self.note(", ".join(news), elapsed_s)

    def note(self, text: str, elapsed_s: float) -> None:
        """Tell something in between."""
        self._console.print(f"    +{elapsed_s:.3f} s  {text}")


def _indented(seen: ChangeSeen) -> Padding:
    return Padding(picture(seen), (0, 0, 0, 2))


def picture(seen: ChangeSeen) -> RenderableType:
    """Return the table of a change."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("NODE", "PROPOSED", "APPLIED", "VERIFIED"):
        table.add_column(title, justify="left" if title == "NODE" else "right", no_wrap=True)
    table.add_column("FINGERPRINT", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for name in seen.node_ids:
        times = seen.nodes.get(name, {})
        cells = (_time(times.get(column)) for column in _STEPS)
        fingerprint = seen.fingerprints.get(name, "")[:_FINGERPRINT_CHARS]
        table.add_row(name, *cells, Text(fingerprint, "cyan"), _state(seen.states.get(name, "")))
    return Group(_track(seen), table)


def _track(seen: ChangeSeen) -> Text:
    """Phases with the seconds at which they were seen; one too quick to be seen has none."""
    last = str(seen.intent.get("phase", ""))
    # A change that was taken back ends in another phase than the last of the row.
    phases = [*tuple(_PHASES)[:-1], last] if last and last not in _PHASES else [*_PHASES]
    parts = []
    for phase in phases:
        at_s, word = seen.phases.get(phase), _PHASES.get(phase, phase)
        style = "bold green" if phase == last else "green" if at_s is not None else "dim"
        parts.append(Text(word if at_s is None else f"{word} {at_s:.2f}", style))
    return Text(" > ").join(parts).append(" s", "dim")


def _time(at_s: float | None) -> Text:
    return Text("" if at_s is None else f"{at_s:.3f} s")


def _state(state: str) -> Text:
    style = "green" if state == "verified" else "bold red" if state in _TROUBLE else "yellow"
    return Text(state, style)


def several(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural if need be."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"

"""Drift as people read it: which node strays in what, what Miroir does about it, who said so."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from miroir.cli.settings.documents import DriftDocument, DriftForm, DriftRuleForm
from miroir.cli.settings.durations import moment
from miroir.cli.settings.picture import Hanging

_COLOURS: Final = {"suspected": "yellow", "ignored": "cyan"}
_MODES: Final = {
    "repair": "foreign changes are undone",
    "alert": "foreign changes are only reported; a node that has one is not asked while others "
    "can answer",
    "adopt": "foreign changes become the settings of every node",
    "off": "foreign changes are not looked for; a node that is out already is brought back",
}
_WILL: Final = {
    "repair": "is repairing it",
    "adopt": "is adopting it",
    "alert": "only reports it",
    "wait": "waits for the end of its task",
}


def drift_picture(document: DriftDocument) -> RenderableType:
    """Return every node that strays, the rules that hold, and the indexes that nobody manages."""
    parts: list[RenderableType] = []
    for row in document.results:
        parts += _row(row)
    if all(row.state == "ignored" for row in document.results):
        parts.append(Text("no node strays", "green"))
    else:
        parts.append(Text("next: miroir drift explain INDEX, repair INDEX, or adopt INDEX"))
    if document.rules:
        parts += [Text(), _rules(document.rules)]
    for each in document.unmanaged:
        said = f"{each['index']} is not managed: {each['why']}; miroir drift adopt {each['index']}"
        parts.append(Hanging(Text(said, "yellow"), 2))
    return Group(*parts)


def rule_picture(rule: DriftRuleForm) -> RenderableType:
    """Return what holds for an index from now on."""
    lines = [Text.assemble((rule.index, "bold"), f"  {_MODES[rule.mode]}")]
    if rule.ignored_keys:
        keys = ", ".join(rule.ignored_keys)
        lines.append(Text(f"  left alone: {keys}, until a change or repair of the index", "cyan"))
    said = "as configured" if rule.mode_is == "configured" else "ordered"
    undo = f"; back: miroir drift ignore {rule.index} --stop"
    undo = "" if rule.mode_is == "configured" and not rule.ignored_keys else undo
    lines.append(Text(f"  mode {rule.mode}, {said}{undo}", "dim"))
    return Group(*(Hanging(line, 2) for line in lines))


def _row(row: DriftForm) -> Iterator[RenderableType]:
    state = Text(row.state, _COLOURS.get(row.state, "red"))
    head = Text.assemble((row.index, "bold"), f" on {row.node}  ", state, "  ")
    yield Hanging(head.append(", ".join(row.faults)), 4)
    will = f"Miroir {_WILL[row.action]}" if row.action in _WILL else "left alone, as was ordered"
    why = f": {row.why}" if row.why else ""
    broken = ""
    if row.breaker == "open":
        broken = (
            f"; repairs did not hold, so there are no more until: miroir drift repair {row.index}"
        )
    yield Hanging(Text(f"    since {moment(row.first_seen_at)}; {will}{why}{broken}", "dim"), 4)


def _rules(rules: list[DriftRuleForm]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("INDEX", "MODE", "IGNORED", "BY", "SINCE (UTC)", "WHY"):
        table.add_column(title, overflow="fold")
    for rule in rules:
        mode = rule.mode + ("" if rule.mode_is == "ordered" else " (conf.)")
        at = rule.at.replace("T", " ")[:16]
        table.add_row(
            rule.index, mode, ", ".join(rule.ignored_keys) or "-", rule.by, at, rule.reason
        )
    return table

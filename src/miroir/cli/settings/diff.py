"""
`miroir settings diff`: files against a server, versions, or servers against each other.

What the two sides are is told by the operands:

    DIR or FILE             the files against what is in force
    INDEX@11 INDEX@12       two versions;  INDEX@11 alone: against what is in force
    INDEX --against URL     the same index on another server, or straight on another node
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group
from rich.text import Text

from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.connect import URL, HistoryFile, Key, Url, connect
from miroir.cli.settings.documents import DiffDocument, DifferenceForm
from miroir.cli.settings.forms import change_form
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.picture import differences_picture
from miroir.cli.settings.plan import Environment
from miroir.cli.settings.planning import load_sound, plan_all
from miroir.cli.settings.target import Target
from miroir.core.settings_document import Declared, Ownership
from miroir.core.settings_plan import Change, plan

_VERSION: Final = re.compile(r"(.+)@(\d+)")


class DiffFault(CliFault):
    """The sides could not be compared; not to be taken for a difference."""

    exit_status = 2


@dataclass(frozen=True)
class Difference:
    """How one index differs."""

    index: str
    left: str
    right: str
    changes: tuple[Change, ...]


def diff(  # noqa: PLR0913, PLR0917 - its options
    operands: Annotated[
        list[str], typer.Argument(help="A folder or file; or INDEX@VERSION, once or twice.")
    ],
    url: Url = URL,
    key: Key = None,
    history: HistoryFile = None,
    env: Environment = None,
    against: Annotated[
        str | None, typer.Option(metavar="URL", help="Compare with this other server or node.")
    ] = None,
    against_key: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Its key. Default: as --key.", show_default=False),
    ] = None,
    output: Output = "table",
) -> None:
    """
    Show how settings differ: files, versions, servers, nodes.

    Exit status as of `kubectl diff`: 0: the same, 1: they differ, 2 and above: an error.
    (`plan --detailed-exitcode` has Terraform's: 0, 1: error, 2: changes.)

    For example:

        miroir settings diff settings/

        miroir settings diff movies@11 movies@12

        miroir settings diff movies --against http://node-3:7700 --against-key env:NODE_KEY
    """
    try:
        target = connect(url, key, None, history)
        if against is not None:
            other = connect(against, against_key or key)
            found = [_servers(target, other, index) for index in operands]
        elif any(_VERSION.fullmatch(operand) for operand in operands):
            found = [_versions(target, operands)]
        else:
            found = _files(target, operands, env)
    except CliFault as fault:
        raise DiffFault(str(fault)) from fault
    differing = [each for each in found if each.changes]
    same = [Text("no difference", "green")] if not differing else []
    pictures = (
        differences_picture(f"{d.index}: {d.left} → {d.right}", d.changes) for d in differing
    )
    Outlet(output).answer(_document(found), Group(*pictures, *same))
    raise typer.Exit(1 if differing else 0)


def compared(index: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two complete settings, in normal form."""
    declared = Declared(index, right, Ownership.FULL)
    return plan(declared, left, (), lambda _reference: None).changes


def _document(found: list[Difference]) -> DiffDocument:
    return DiffDocument(
        differs=any(each.changes for each in found),
        indexes=[
            DifferenceForm(
                index=each.index,
                left=each.left,
                right=each.right,
                changes=[change_form(change) for change in each.changes],
            )
            for each in found
        ],
    )


def _files(target: Target, operands: list[str], env: str | None) -> list[Difference]:
    if len(operands) != 1:
        raise UsageFault("one folder or file is compared at a time")
    path = Path(operands[0])
    if not path.exists():
        raise UsageFault(
            f"{path} is no file or folder; of an index, say which versions: "
            f"{path}@11 {path}@12, or which other server: --against URL"
        )
    planned = plan_all(target, load_sound(path, env, ()).declared, estimates=False)
    return [
        Difference(each.plan.index, "in force", each.declared.source, each.plan.changes)
        for each in planned
    ]


def _versions(target: Target, operands: list[str]) -> Difference:
    parts = [_VERSION.fullmatch(operand) for operand in operands]
    names = {part[1] for part in parts if part}
    if len(operands) > 2 or None in parts or len(names) != 1:
        raise UsageFault("write two versions of one index: movies@11 movies@12")
    (index,) = names
    numbers = [int(part[2]) for part in parts if part]
    left = _settings_of(target, index, numbers[0])
    if len(numbers) == 2:
        right, name = _settings_of(target, index, numbers[1]), f"version {numbers[1]}"
    else:
        right, name = _in_force(target, index), "in force"
    return Difference(index, f"version {numbers[0]}", name, compared(index, left, right))


def _servers(one: Target, other: Target, index: str) -> Difference:
    left, right = _in_force(one, index), _in_force(other, index)
    return Difference(index, one.url, other.url, compared(index, left, right))


def _settings_of(target: Target, index: str, number: int) -> Mapping[str, Any]:
    settings = target.version(index, number).settings
    if settings is None:
        raise DiffFault(f"version {number} of `{index}` is from before settings were kept whole")
    return settings


def _in_force(target: Target, index: str) -> Mapping[str, Any]:
    settings = target.live(index).settings
    if settings is None:
        raise DiffFault(f"{target.url} has no index `{index}`")
    return settings

"""
docs/reference/cli.md, made from the commands: `python -m miroir.cli.reference > FILE`.

Text only, no command is run; a test compares the file with what this returns. What an option
takes, its default and its variable are worded as `--help` words them.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.core import TyperGroup

from miroir.cli import app

_INTRODUCTION: Final = """\
# Command line

<!-- Made by `python -m miroir.cli.reference`; change the modules of src/miroir/cli instead. -->

`miroir COMMAND [OPTIONS]`; `miroir --help` and `miroir COMMAND --help` show the same, `miroir
--version` the version. Results go to standard output, messages to standard error.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | it did not work out: something did not start, answer or prove true |
| 2 | it was called wrongly, or the configuration cannot be used |
| 130 | stopped by Ctrl-C before it was done |
"""


def reference() -> str:
    """Return the whole page."""
    group: Any = typer.main.get_command(app)
    context = typer.Context(group, info_name="miroir")
    sections = (
        _section(name, group.get_command(context, name), context)
        for name in group.list_commands(context)
    )
    return "\n".join([_INTRODUCTION, *(line for lines in sections for line in lines)])


def _section(name: str, command: Any, parent: typer.Context) -> Iterator[str]:
    context = typer.Context(command, info_name=name, parent=parent)
    if isinstance(command, TyperGroup):
        if command.invoke_without_command:
            yield from _page(name, command, context)
        for inner in command.list_commands(context):
            yield from _section(f"{name} {inner}", command.get_command(context, inner), context)
        return
    yield from _page(name, command, context)


def _page(name: str, command: Any, context: typer.Context) -> Iterator[str]:
    yield f"## miroir {name}\n"
    yield f"{command.help}\n"
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in command.params:
        names, meaning = parameter.get_help_record(context)
        yield f"| `{_cell(names)}` | {_cell(meaning)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


if __name__ == "__main__":
    sys.stdout.write(reference())

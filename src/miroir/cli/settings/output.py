"""
How answers leave a command: a picture for people, or a document for machines.

Documents go to standard output alone; what is said on the way there goes to standard error then,
so `-o json | jq` always works. Colours and live pictures only on a terminal.
"""

import sys
from typing import Annotated, Literal

import typer
from rich.console import Console, RenderableType

from miroir.cli.screen import screen
from miroir.cli.settings.documents import Document
from miroir.cli.settings.files import dump, quoted

Shape = Literal["table", "json", "yaml"]
Output = Annotated[
    Shape, typer.Option("--output", "-o", help="For people, or a document with a schema.")
]


class Outlet:
    """
    Where a command writes.

    Attributes:
        console: For people: standard output, or standard error beside a document.
        machine: Whether a document is wanted.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.machine = shape != "table"
        self.console: Console = screen(sys.stderr if self.machine else None, markup=False)

    def say(self, text: RenderableType) -> None:
        """Tell people something."""
        self.console.print(text)

    def answer(self, document: Document, picture: RenderableType | None) -> None:
        """Give the answer, in the form that was asked for."""
        if not self.machine:
            if picture is not None:
                self.console.print(picture)
            return
        if self._shape == "json":
            typer.echo(as_json(document))
        else:
            typer.echo(dump(quoted(document.model_dump(mode="json", by_alias=True))), nl=False)


def as_json(document: Document) -> str:
    """Return a document as JSON."""
    return document.model_dump_json(by_alias=True, indent=2)


def interactive() -> bool:
    """Whether there is somebody to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()

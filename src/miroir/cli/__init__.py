"""
The `miroir` command.

Each command is a function, or a group of them, in a module of the same name, imported only when
it is called, so that `miroir --version` answers at once. What a command raises on purpose
(`CliFault`, `ConfigError`) ends here as one message on standard error; anything else is our bug
and keeps its traceback.
"""

import importlib
import shutil
import sys
import textwrap
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from miroir import __version__
from miroir.cli.faults import CliFault
from miroir.errors import ConfigError

_COMMANDS: Final = (
    "serve", "dev", "demo", "status", "settings", "drift", "doctor", "node",
    "secrets",
)  # fmt: skip


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  a hook of typer's
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  same
        if cmd_name not in _COMMANDS:
            return None
        found = getattr(importlib.import_module(f"miroir.cli.{cmd_name}"), cmd_name)
        if isinstance(found, typer.Typer):  # A group of commands.
            group = typer.main.get_command(found)
            group.name = cmd_name  # Else help has a line without a name.
            return group
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"miroir {__version__}")
        raise typer.Exit


@app.callback()
def _miroir(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """One Meilisearch address in front of many nodes, with settings identical on each."""


def main() -> None:
    """Entry point of the console script."""
    if not __debug__:
        sys.exit(
            "miroir: assertions are off (python -O); they guard your data, so this stops here"
        )
    try:
        app()
    except CliFault as fault:
        _leave(str(fault), fault.exit_status)
    except ConfigError as error:
        _leave(str(error), 2)
    except KeyboardInterrupt:
        sys.exit(130)


def _leave(message: str, status: int) -> None:
    text = f"miroir: {message}"
    if sys.stderr.isatty():  # Between words, and not where the terminal happens to end.
        columns = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(
                line, columns, subsequent_indent="  ", replace_whitespace=False,
                break_long_words=False, break_on_hyphens=False,
            )
            for line in text.split("\n")
        )  # fmt: skip
    sys.stderr.write(f"{text}\n")
    sys.exit(status)

"""
`miroir settings`: settings as code, on a cluster or on one plain Meilisearch.

Each command is a function in a module of its kind; this file only names them. What they speak to:
`target.py`. What they answer: `documents.py` for machines, `picture.py` for people.
"""

from collections.abc import Callable
from typing import Any, Final

import typer

from miroir.cli.settings.apply import apply
from miroir.cli.settings.diff import diff
from miroir.cli.settings.edit import edit
from miroir.cli.settings.plan import plan, validate
from miroir.cli.settings.pull import pull
from miroir.cli.settings.status import status, watch
from miroir.cli.settings.versions import cancel, confirm, history, rollback, show, thaw

_COMMANDS: Final[tuple[Callable[..., Any], ...]] = (
    pull, validate, plan, apply, diff, edit, history, show, rollback, cancel, confirm, thaw,
    status, watch,
)  # fmt: skip

settings: Final = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="markdown"
)


@settings.callback()
def _settings() -> None:
    """Keep settings in files: pull, validate, plan, apply, diff, history, rollback."""


for _command in _COMMANDS:
    settings.command(_command.__name__)(_command)

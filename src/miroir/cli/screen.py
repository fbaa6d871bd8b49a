"""
Where commands write: a terminal with colours, or plain lines.

Colours only on a terminal and never with NO_COLOR. Where there is no terminal, lines are not
wrapped: a program may be reading them.
"""

import sys
from typing import Final, TextIO

from rich.console import Console

_PLAIN_WIDTH: Final = 160


def screen(stream: TextIO | None = None, *, markup: bool = True) -> Console:
    """
    Return the console for this stream (standard output).

    Without `markup` square brackets are square brackets, as in what users have written.
    """
    stream = stream or sys.stdout
    if stream.isatty():
        return Console(file=stream, highlight=False, markup=markup)
    return Console(
        file=stream, highlight=False, markup=markup, width=_PLAIN_WIDTH, color_system=None
    )

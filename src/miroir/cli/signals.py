"""Signals that ask to stop: the first raises `Stop` in the main thread, later ones are ignored."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop(BaseException):
    """Asked to stop by Ctrl-C, SIGTERM or a closed terminal."""


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn the first signal to stop into `Stop`; restore the handlers at the end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:  # stopping in order must not be interrupted half-way
            signal.signal(number, signal.SIG_IGN)
        raise Stop

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

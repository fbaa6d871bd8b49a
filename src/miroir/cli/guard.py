"""
No orphans: a process started here ends when this process ends, even by kill -9.

On Linux the kernel sees to it (PR_SET_PDEATHSIG). Elsewhere the command runs below
`python -m miroir.cli.guard COMMAND...`, which kills it as soon as its standard input closes, and
that the kernel does for every process that dies. Either way the child is the leader of a session
of its own: Ctrl-C in the terminal reaches the parent alone, which then ends its children in order.

Start from a thread that lives as long as the children: Linux looks at the thread, not the process.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1


def launch(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    output: IO[bytes],
    by_kernel: bool = sys.platform == "linux",
) -> "subprocess.Popen[bytes]":
    """
    Start a command that cannot outlive this process; standard output and error go to `output`.

    Raises:
        OSError: It cannot be started.
    """
    if not by_kernel:
        command = [sys.executable, "-m", "miroir.cli.guard", *command]
    return subprocess.Popen(  # noqa: S603  our own commands, no shell
        command,
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL if by_kernel else subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Two system calls, no allocation, no lock: safe beside threads, unlike most of its kind.
        preexec_fn=_die_with_parent() if by_kernel else None,  # noqa: PLW1509
    )


def signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to a launched command and its guard; nothing if it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def _die_with_parent() -> Callable[[], None]:
    # Everything that allocates or imports happens before the fork.
    prctl = ctypes.PyDLL(None).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return ask


def _watch_parent(process: "subprocess.Popen[bytes]") -> None:
    # Not sys.stdin: its lock, held by this thread, would abort the interpreter at its end.
    while os.read(0, 1):
        pass
    process.kill()


def _guard(command: Sequence[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # the command gets it too, and decides
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  given by `launch`
    threading.Thread(target=_watch_parent, args=(process,), daemon=True).start()
    status = process.wait()
    return status if status >= 0 else 128 - status  # as a shell tells of a signal


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))

"""
The `miroir` command as a shell runs it: own process, own folder, nobody's variables.

With `terminal=True` it has one, for what is asked only there. Every run is kept, so that a test
can look for a planted secret in all that was ever said.
"""

import json
import os
import pty
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from miroir.cli import main

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Started:
    """A command that runs."""

    pid: int
    out: Any
    err: Any

    def said(self) -> str:
        """Return what it has said by now."""
        # Not read(): the place in the file is shared with the command, which writes there.
        files = (self.out.fileno(), self.err.fileno())
        return "".join(os.pread(file, os.fstat(file).st_size, 0).decode() for file in files)


@dataclass
class CommandLine:
    """
    Runs commands against one server.

    Attributes:
        folder: Working directory.
        environ: Its variables.
        said: Everything that was ever printed.
    """

    folder: Path
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)

    def __call__(self, *words: object, **variables: str) -> Ran:
        """Run a command to its end."""
        return self.ended(self.start(*words, **variables))

    def start(self, *words: object, **variables: str) -> "Started":
        """Start a command; whoever does waits for it by `ended`."""
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            self._become(words, variables)
        return Started(pid, out, err)

    def ended(self, started: "Started") -> Ran:
        """Wait for a command."""
        _, waited = os.waitpid(started.pid, 0)
        texts = []
        for file in (started.out, started.err):
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        self.said += texts
        return Ran(os.waitstatus_to_exitcode(waited), *texts)

    def on_terminal(self, *words: object, says: Mapping[str, str], **variables: str) -> Ran:
        """
        Run a command on a terminal of 80 columns, and answer what it asks.

        Args:
            words: The command.
            says: What to type once a text has appeared; `^C` is Ctrl-C.
            variables: Further environment.
        """
        pid, terminal = pty.fork()
        if pid == 0:  # The command itself.
            self._become(words, {**variables, "TERM": "xterm", "COLUMNS": "80"})
        text = _conversation(terminal, pid, dict(says))
        _, waited = os.waitpid(pid, 0)
        os.close(terminal)
        self.said.append(text)
        return Ran(os.waitstatus_to_exitcode(waited), text, "")

    def _become(self, words: tuple[object, ...], variables: Mapping[str, str]) -> NoReturn:
        """Be the command from here on; all is imported already, which else costs a second."""
        status = 1
        try:
            os.chdir(self.folder)
            os.environ.clear()
            os.environ.update(self._environ(variables))
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.argv = ["miroir", *map(str, words)]
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:  # noqa: BLE001 - the end of this process
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _environ(self, variables: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        own = {"NO_COLOR": "1"}
        return {**kept, **own, **self.environ, **variables}


def _conversation(terminal: int, pid: int, says: dict[str, str]) -> str:
    text, deadline_s = "", time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if not ready:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:
            return text  # It has ended.
        if not read:
            return text
        text += read.decode(errors="replace")
        for asked in [asked for asked in says if asked in text]:
            answer = says.pop(asked)
            if answer == "^C":
                os.kill(pid, signal.SIGINT)
            else:
                os.write(terminal, f"{answer}\n".encode())
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"still running after {DEADLINE_S} s: {text}")

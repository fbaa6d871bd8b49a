"""
Readers of a server that was killed end when they notice; until then nobody may take its place.

The lock belongs to an open file that the main process and its readers share: it is free when the
last of them is gone, however it went. A new main process that changed settings while an old reader
answered searches would break every promise about versions.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from miroir.errors import ConfigError

_NAME: Final = "readers.lock"
_WAIT_S: Final = 3.0
_POLL_S: Final = 0.02


class ReadersLock:
    """
    Held from before the first reader starts until the last one is gone.

    Attributes:
        descriptor: For readers to inherit; None: not held.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        self.descriptor: int | None = None

    async def take(self) -> None:
        """Wait a little for readers of an earlier run to be gone; `require` tells the outcome."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError:
            return  # The store is opened next, and says what is wrong with the directory.
        until_s = asyncio.get_running_loop().time() + _WAIT_S
        while asyncio.get_running_loop().time() < until_s:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_POLL_S)  # noqa: TID251 - not a service: other processes' time
            else:
                self.descriptor = descriptor
                return
        os.close(descriptor)

    def require(self) -> None:
        """
        Return if the lock is held.

        Raises:
            ConfigError: Readers of an earlier run are still there.
        """
        if self.descriptor is None:
            raise ConfigError(
                f"{self._path}: readers of an earlier run of Miroir are still running; end the "
                "processes `miroir.runtime.reader` that have this file open (`fuser` names them)"
            )

    def release(self) -> None:
        """Give up this process's share."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

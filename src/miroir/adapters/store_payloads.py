"""
Bodies of document writes that wait to be sent: in files beside the database, not in it.

A body is written once, read only after a restart, and gone a moment later. In pages of a database,
summed up, logged, copied and freed again, it costs three times as much CPU as appended to a file.

    miroir.payloads/<number>    bodies one after the other, up to `FILE_BYTES`; a row of the
                                database says where each is

Rules
1. What a row points to is on the disk before the row is: `sync` comes before the commit.
2. A file is used again, from its beginning, when no committed row points to it: a deletion that is
   not committed yet may never be.
3. What is appended and rolled back is waste, until its file is used again.

Used by the store's thread alone.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from miroir.adapters.store_transaction import Place
from miroir.errors import ConfigError

FOLDER: Final = "miroir.payloads"
FILE_BYTES: Final = 1 << 25
_SPARE_MAX: Final = 2
"""Files kept to be used again; a file that does not grow is quicker to make durable."""


class PayloadFiles:
    """The files of one data directory."""

    def __init__(self, directory: Path) -> None:
        """
        Begin with no file open; see `open`.

        Args:
            directory: The data directory.
        """
        self._folder = directory / FOLDER
        self._open: dict[int, int] = {}
        self._spare: list[int] = []
        self._current: int | None = None
        self._end = 0
        self._unsynced: set[int] = set()
        self.turned = False
        """Whether a file has become full since `release`: some may be free now."""

    def open(self, used: Collection[int], place: str) -> None:
        """
        Take over what a former process left.

        Args:
            used: Numbers of files that rows point to.
            place: The database's name, for the message.

        Raises:
            OSError: The folder cannot be used.
            ConfigError: A file that rows point to is not there.
        """
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        found = {int(path.name): path for path in paths if path.name.isdigit()}
        if missing := sorted(set(used) - found.keys()):
            raise ConfigError(
                f"{place}: documents that were accepted are in {self._folder / str(missing[0])}, "
                "which is not there; put the whole data directory back, as it was at one moment"
            )
        for number, path in found.items():
            self._open[number] = os.open(path, os.O_RDWR)
        self.release(used)

    def put(self, body: bytes) -> Place:
        """
        Append a body; it is durable after `sync`.

        Raises:
            OSError: It could not be written, e.g. since the disk is full.
        """
        if self._current is None or self._end >= FILE_BYTES:
            self._turn()
        assert self._current is not None
        place = Place(self._current, self._end, len(body))
        written, view = 0, memoryview(body)
        while written < len(body):
            written += os.pwrite(self._open[place.file], view[written:], place.start + written)
        self._end += len(body)
        self._unsynced.add(place.file)
        return place

    def get(self, place: Place) -> bytes:
        """
        Return a body.

        Raises:
            OSError: It cannot be read, or is not whole.
        """
        body = os.pread(self._open[place.file], place.size, place.start)
        if len(body) != place.size:
            raise OSError(f"{self._folder / str(place.file)}: ends before a body that it holds")
        return body

    def sync(self) -> None:
        """
        Make durable what was appended.

        Raises:
            OSError: It could not be.
        """
        while self._unsynced:
            os.fdatasync(self._open[next(iter(self._unsynced))])
            self._unsynced.pop()

    def release(self, used: Collection[int]) -> None:
        """Use files again, or remove them; `used`: those that committed rows point to."""
        free = sorted(self._open.keys() - set(used) - {self._current})
        self._spare = free[:_SPARE_MAX]
        for number in free[_SPARE_MAX:]:
            os.close(self._open.pop(number))
            (self._folder / str(number)).unlink()
        self.turned = False

    def close(self) -> None:
        """Close every file."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _turn(self) -> None:
        """Go on in a spare file, or in a new one."""
        if self._spare:
            number = self._spare.pop(0)
        else:
            number = max(self._open, default=0) + 1
            if not self._open:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                _sync_folder(self._folder.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            self._open[number] = os.open(self._folder / str(number), flags, 0o600)
            _sync_folder(self._folder)
        self._current, self._end, self.turned = number, 0, True


def _sync_folder(folder: Path) -> None:
    """Make durable which files there are."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

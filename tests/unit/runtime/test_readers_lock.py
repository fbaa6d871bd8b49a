"""Nobody takes the place of a server whose readers are still there."""

import asyncio
import subprocess
import sys

import pytest

from miroir.errors import ConfigError
from miroir.runtime.readers_lock import ReadersLock


def take(lock):
    asyncio.run(lock.take())


def test_the_lock_is_free_when_the_last_process_that_has_it_is_gone(tmp_path):
    """It must outlive the main process by exactly as long as its readers do."""
    first = ReadersLock(tmp_path)
    take(first)
    first.require()
    reader = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[first.descriptor]
    )
    first.release()

    second = ReadersLock(tmp_path)
    take(second)
    with pytest.raises(ConfigError, match="readers of an earlier run"):
        second.require()

    reader.communicate(b"\n")
    take(second)
    second.require()
    second.release()


def test_a_directory_that_cannot_be_written_is_left_to_the_store_to_complain_of(tmp_path):
    """One fault, one message."""
    (tmp_path / "file").write_text("")
    lock = ReadersLock(tmp_path / "file")
    take(lock)
    assert lock.descriptor is None


def test_the_file_can_be_read_by_nobody_else(tmp_path):
    """It lies among files that hold secrets."""
    lock = ReadersLock(tmp_path / "new")
    take(lock)
    assert (tmp_path / "new" / "readers.lock").stat().st_mode & 0o077 == 0
    lock.release()

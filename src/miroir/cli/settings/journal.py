"""
A local history of settings for one plain Meilisearch: a file, a line of JSON for each change.

Versions count from 1 for each index. Complete settings are kept as read back, secrets taken out,
so the file can be committed. A line cut off by a crash is skipped; nothing is ever rewritten.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from miroir.cli.faults import CliFault
from miroir.cli.settings.target import Order, Unfit, Version
from miroir.core import settings as rules
from miroir.core.secret_places import shown


class Journal:
    """One file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, order: Order, seen: Mapping[str, Any]) -> int:
        """Append a change that was read back; return its version."""
        known = self._lines(order.index)
        before = order.base.settings
        number = known[-1]["version"] + 1 if known else 1
        lines = []
        if not known and before is not None:  # So that there is a way back to the beginning.
            lines.append(_line(order.index, number, "found", "as it was before", {}, before))
            number += 1
        lines.append(_line(order.index, number, order.by, order.reason, before or {}, seen))
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CliFault(
                f"the change is in force, but {self._path} cannot be written: {error.strerror}"
            ) from error
        return int(number)

    def versions(self, index: str) -> tuple[Version, ...]:
        """Return all versions of an index, newest first."""
        return tuple(_version(line) for line in reversed(self._lines(index)))

    def version(self, index: str, number: int) -> Version:
        """Return one of them."""
        for line in self._lines(index):
            if line["version"] == number:
                return _version(line)
        raise Unfit(
            f"{self._path} has no version {number} of `{index}`; see them with `miroir settings "
            f"history {index} --history {self._path}`"
        )

    def _lines(self, index: str) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        found = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # Cut off by a crash; what it told of is in force all the same.
            if isinstance(line, dict) and line.get("index") == index:
                found.append(line)
        return found


def _line(
    index: str,
    number: int,
    by: str,
    reason: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "index": index,
        "version": number,
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "by": by,
        "reason": reason,
        "diff": rules.diff(shown(before), shown(after)) if before else {},
        "settings": shown(after),
    }


def _version(line: dict[str, Any]) -> Version:
    return Version(
        version=line["version"],
        at=line["at"],
        by=line["by"],
        reason=line["reason"],
        kind="change",
        diff=line["diff"],
        settings=line["settings"],
    )

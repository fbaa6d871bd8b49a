"""
Those who change settings: several at once, some with `If-Match`, some with nothing to change.

Every change that is meant to have an effect brings a marker of its own. After some of them the
writer reads its own writing, with a floor.
"""

import random
import threading
from typing import Any, Final

from tests.soak import markers
from tests.soak.history import Change
from tests.soak.readers import search
from tests.soak.stage import CONSTANT, INDEXES, Stage
from tests.soak.wire import Answer

PAUSE_MAX_S: Final = 0.8
PATIENCE_S: Final = 20.0
AIMS: Final = {"change": 14, "noop": 3, "based": 2, "invalid": 1, "rollback": 1}
WAITS: Final = 0.85
"""How often a writer waits for the end of its change before the next one."""


class SettingsWriter(threading.Thread):
    """Changes settings until told to stop."""

    def __init__(self, stage: Stage, name: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self._stage, self._chance = stage, random.Random(seed)
        self._line, self._admin = stage.line(), stage.line(admin=True)

    def run(self) -> None:
        """Change settings until the stage says stop."""
        while not self._stage.stop_writing.wait(self._chance.uniform(0.0, PAUSE_MAX_S)):
            (aim,) = self._chance.choices(list(AIMS), list(AIMS.values()))
            change = self._change(aim, self._chance.choice(INDEXES))
            if change is None:
                continue
            self._stage.history.add(change)
            if change.task is not None and self._chance.random() < WAITS:
                ended = self._stage.task_end(self._line, change.task, within_s=PATIENCE_S)
                if ended == "succeeded":
                    self._read_own_writing(change.index)

    def _change(self, aim: str, index: str) -> Change | None:
        path = f"/indexes/{index}/settings"
        match aim:
            case "change":
                marker = self._stage.mint.change(index)
                answer = self._send(path, marker)
                return self._kept(index, aim, answer, marker)
            case "based":
                base = self._version(index)
                if base is None:
                    return None
                marker = self._stage.mint.change(index)
                body = {"synonyms": markers.synonyms(marker)}
                answer = self._line.ask("PATCH", path, body, {"If-Match": f'"{base}"'})
                return self._kept(index, "change", answer, marker, base)
            case "noop":
                key = self._chance.choice(list(CONSTANT))
                answer = self._line.ask("PATCH", path, {key: CONSTANT[key]})
                return self._kept(index, aim, answer, None)
            case "invalid":
                marker = self._stage.mint.change(index)
                invalid = {"synonyms": markers.synonyms(marker), "rankingRules": ["nonsense"]}
                return self._kept(index, aim, self._line.ask("PATCH", path, invalid), marker)
            case _:
                return self._roll_back(index)

    def _send(self, path: str, marker: int) -> Answer:
        synonyms = markers.synonyms(marker)
        draw = self._chance.random()
        if draw < 0.2:
            return self._line.ask("PUT", f"{path}/synonyms", synonyms)
        patch: dict[str, Any] = {"synonyms": synonyms}
        if draw < 0.4:
            patch["stopWords"] = ["the", f"stop{self._chance.randrange(5)}"]
        elif draw < 0.5:
            patch["sortableAttributes"] = [f"field{self._chance.randrange(5)}"]
        return self._line.ask("PATCH", path, patch)

    def _roll_back(self, index: str) -> Change | None:
        newest = self._version(index)
        if newest is None:
            return None
        wanted = self._chance.randint(self._stage.setup_version[index], newest)
        path = f"/_miroir/settings/{index}/rollback"
        answer = self._admin.ask("POST", path, {"version": wanted})
        return self._kept(index, "rollback", answer, None)

    def _version(self, index: str) -> int | None:
        """Return the version that is told now; None if nobody answers."""
        answer = self._line.ask("GET", f"/indexes/{index}/settings")
        return answer.header_number("x-miroir-settings-version") if answer.status == 200 else None

    def _read_own_writing(self, index: str) -> None:
        version = self._version(index)
        if version is not None:
            search(self._stage, self._line, self.name, index, version)

    def _kept(
        self, index: str, aim: str, answer: Answer, marker: int | None, base: int | None = None
    ) -> Change:
        return Change(
            self.name, index, aim, marker, base, answer.sent_s, answer.received_s,
            answer.status, answer.code, answer.task,
        )  # fmt: skip

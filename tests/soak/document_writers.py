"""
Those who write documents, and those who make and delete side indexes.

A document writer has ids of its own and sends one write after the other, so that of each id it is
known which writes may have the last word.
"""

import random
import threading
from typing import Any, Final

from tests.soak.history import Put, SideIndex
from tests.soak.stage import Stage
from tests.soak.wire import Answer

IDS_EACH: Final = 120
IDS_AT_ONCE: Final = 6
PATIENCE_S: Final = 20.0
SIDE_PAUSE_S: Final = 1.5


class DocumentWriter(threading.Thread):
    """Puts and deletes documents of one index until told to stop."""

    def __init__(
        self, stage: Stage, number: int, index: str, *, seed: int, pause_s: float
    ) -> None:
        super().__init__(name=f"documents-{number}", daemon=True)
        self._stage, self._index, self._pause_s = stage, index, pause_s
        self._chance = random.Random(seed)
        self._first = number * 1000
        self._line = stage.line()
        self._value = number * 1_000_000

    def run(self) -> None:
        """Write until the stage says stop."""
        while not self._stage.stop_writing.wait(self._pause_s):
            first = self._first + self._chance.randrange(IDS_EACH)
            ids = tuple(range(first, first + IDS_AT_ONCE))
            draw = self._chance.random()
            if draw < 0.1:
                self._send("POST", "/documents/delete-batch", list(ids), ids, None)
                continue
            self._value += 1
            method = "PUT" if draw < 0.4 else "POST"
            documents = [self._document(number) for number in ids]
            put = self._send(method, "/documents", documents, ids, self._value)
            if draw > 0.8 and put.task is not None:
                ended = self._stage.task_end(self._line, put.task, within_s=PATIENCE_S)
                if draw > 0.95 and ended == "succeeded":
                    body = {"filter": f"value = {self._value}"}
                    self._send("POST", "/documents/delete", body, ids, None)

    def _document(self, number: int) -> dict[str, Any]:
        return {"id": number, "value": self._value, "text": f"the document {self._value}"}

    def _send(
        self, method: str, path: str, body: Any, ids: tuple[int, ...], value: int | None
    ) -> Put:
        answer = self._line.ask(method, f"/indexes/{self._index}{path}", body)
        put = Put(
            self.name, self._index, ids, value, answer.sent_s, answer.received_s,
            answer.status, answer.code, answer.task,
        )  # fmt: skip
        self._stage.history.add(put)
        return put


class SideWriter(threading.Thread):
    """Makes indexes, fills them, and deletes most of them."""

    def __init__(self, stage: Stage, seed: int) -> None:
        super().__init__(name="side", daemon=True)
        self._stage, self._chance, self._line = stage, random.Random(seed), stage.line()

    def run(self) -> None:
        """Go on until the stage says stop."""
        number = 0
        while not self._stage.stop_writing.wait(SIDE_PAUSE_S):
            number += 1
            uid = f"side-{number}"
            if not self._end(uid, self._line.ask("POST", "/indexes", _index(uid)), made=True):
                continue
            documents = [{"id": n, "value": number} for n in range(4)]
            self._wait(self._line.ask("POST", f"/indexes/{uid}/documents", documents))
            if self._chance.random() < 0.5:
                body = {"stopWords": ["the"]}
                self._wait(self._line.ask("PATCH", f"/indexes/{uid}/settings", body))
            if self._chance.random() < 0.8:
                self._end(uid, self._line.ask("DELETE", f"/indexes/{uid}"), made=False)

    def _end(self, uid: str, answer: Answer, *, made: bool) -> bool:
        """Keep the request; return whether it has succeeded."""
        self._stage.history.add(
            SideIndex(
                uid,
                made,
                answer.sent_s,
                answer.received_s,
                answer.status,
                answer.code,
                answer.task,
            )
        )
        return self._wait(answer)

    def _wait(self, answer: Answer) -> bool:
        if answer.task is None:
            return False
        ended = self._stage.task_end(self._line, answer.task, within_s=PATIENCE_S)
        return ended == "succeeded"


def _index(uid: str) -> dict[str, str]:
    return {"uid": uid, "primaryKey": "id"}

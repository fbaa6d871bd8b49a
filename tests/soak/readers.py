"""
Those who search without end and write down what they saw; half of them pin what they have seen.
"""

import threading

from tests.soak import markers
from tests.soak.history import Read
from tests.soak.stage import Stage
from tests.soak.wire import Answer, Line

FLOOR: str = "X-Miroir-Min-Settings-Version"


class Reader(threading.Thread):
    """
    Searches one index, a few times a second, until told to stop.

    Args:
        pins: Whether it sends the highest version that it has seen as its floor.
        pause_s: Between two searches.
    """

    def __init__(self, stage: Stage, name: str, index: str, *, pins: bool, pause_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._stage, self._index, self._pins, self._pause_s = stage, index, pins, pause_s

    def run(self) -> None:
        """Search until the stage says stop."""
        line, floor = self._stage.line(), None
        while not self._stage.stop_reading.wait(self._pause_s):
            read = search(self._stage, line, self.name, self._index, floor)
            if self._pins and read.version is not None:
                floor = max(floor or 0, read.version)


def search(stage: Stage, line: Line, reader: str, index: str, floor: int | None) -> Read:
    """Search once and keep what was seen."""
    shards = stage.shape.shards
    headers = {} if floor is None else {FLOOR: str(floor)}
    body = markers.search_body(shards)
    answer = line.ask("POST", f"/indexes/{index}/search", body, headers)
    read = _read(answer, reader, index, floor, shards)
    stage.history.add(read)
    return read


def _read(answer: Answer, reader: str, index: str, floor: int | None, shards: int) -> Read:
    good = answer.status == 200
    return Read(
        reader=reader,
        index=index,
        sent_s=answer.sent_s,
        received_s=answer.received_s,
        floor=floor,
        status=answer.status,
        version=answer.header_number("x-miroir-settings-version") if good else None,
        flagged="x-miroir-settings-inconsistent" in answer.headers,
        shown=markers.read(answer.body["hits"], shards) if good else (),
        code=answer.code,
    )

"""
What happened in a soak, as records: everything that the verdict rests on, and nothing else.

All moments are seconds since the load began, on one clock; moments that others told by their wall
clock were converted before they got here. A history is a list of records in any order. It can be
written as JSON lines, one record each, and judged again from there.

Words: *sent* and *received* are the client's moments around one request. A *marker* is the number
of a set of settings that shows in the hits (see markers.py). Status None: no answer came, so that
the outcome of a write is unknown.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

ENDED: Final = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Setup:
    """
    What the run was made of.

    Attributes:
        columns: The nodes of each shard.
        calm_until_s: Before this nothing was disturbed.
        healed_s: From here on nothing was disturbed any more and everything was proved; None if
            that was never reached.
        setup_version: By index: the version at which the load began.
        setup_marker: By index: the marker of that version.
    """

    shape: str
    seed: int
    engine: str
    columns: tuple[tuple[str, ...], ...]
    indexes: tuple[str, ...]
    setup_version: dict[str, int]
    setup_marker: dict[str, int]
    calm_until_s: float
    healed_s: float | None


@dataclass(frozen=True)
class Read:
    """
    One search.

    Attributes:
        floor: What the reader asked for at least; None: it did not pin.
        shown: The marker that each shard showed; see `markers.read`.
        code: Of an error.
    """

    reader: str
    index: str
    sent_s: float
    received_s: float
    floor: int | None
    status: int | None
    version: int | None
    flagged: bool
    shown: tuple[int, ...]
    code: str | None


@dataclass(frozen=True)
class Change:
    """
    One request to change settings.

    Attributes:
        aim: `change`, `noop`, `invalid`, or `rollback`.
        marker: Of the new settings; None where the settings get no marker of their own.
        base: The version that `If-Match` named.
        task: Miroir's task, once accepted.
    """

    writer: str
    index: str
    aim: str
    marker: int | None
    base: int | None
    sent_s: float
    received_s: float
    status: int | None
    code: str | None
    task: int | None


@dataclass(frozen=True)
class Put:
    """
    One document write: `value` was given to these ids, None deletes them.

    Each id belongs to one writer, who sends its writes one after the other.
    """

    writer: str
    index: str
    ids: tuple[int, ...]
    value: int | None
    sent_s: float
    received_s: float
    status: int | None
    code: str | None
    task: int | None


@dataclass(frozen=True)
class SideIndex:
    """One creation (`made`) or deletion of a side index."""

    index: str
    made: bool
    sent_s: float
    received_s: float
    status: int | None
    code: str | None
    task: int | None


@dataclass(frozen=True)
class TaskSeen:
    """
    What a client was told about a task.

    Attributes:
        final: Asked at the very end of the run.
    """

    task: int
    status: str
    at_s: float
    code: str | None
    final: bool


@dataclass(frozen=True)
class Foreign:
    """A change of settings that somebody sent straight to a node."""

    index: str
    node: str
    marker: int
    sent_s: float
    received_s: float
    status: int | None


@dataclass(frozen=True)
class Disturbance:
    """
    A fault, from its beginning until it was over.

    Attributes:
        on: A node, or `miroir`.
        hearing: Whether it keeps Miroir and the node from hearing of each other's state.
    """

    fault: str
    on: str
    from_s: float
    until_s: float
    hearing: bool


@dataclass(frozen=True)
class Version:
    """
    A committed version, from the final history of its index.

    Attributes:
        marker: That its settings show; None: no marker.
        ended_s: When no node was to serve an older one any more; None: not yet.
    """

    index: str
    version: int
    marker: int | None
    task: int | None
    kind: str
    at_s: float
    ended_s: float | None


@dataclass(frozen=True)
class NodeTask:
    """
    A settings task as the node itself tells it.

    Attributes:
        marker: That it sets; None: it leaves the markers alone.
        keys: The settings that it names.
        finished_s: When its effect was there.
    """

    node: str
    index: str
    uid: int
    marker: int | None
    keys: tuple[str, ...]
    status: str
    enqueued_s: float
    finished_s: float | None


@dataclass(frozen=True)
class NodeEnd:
    """
    How a node stands with an index at the end.

    Attributes:
        healthy: By Miroir's word.
        state: By Miroir's word: `synced`, ...
        version: That it is proved at, by Miroir's word.
        marker: That its own settings show.
        documents: Its documents: id to value; those that carry markers left out.
        markers: Number of documents that carry markers.
    """

    node: str
    index: str
    healthy: bool
    state: str
    version: int | None
    marker: int | None
    documents: dict[str, int]
    markers: int


@dataclass(frozen=True)
class IndexesEnd:
    """The indexes that a node has at the end, by its own word; Miroir's own left out."""

    node: str
    indexes: tuple[str, ...]


@dataclass(frozen=True)
class Quiet:
    """No-op changes in a quiet time: `changes` of them, and by how much the nodes' tasks grew."""

    at_s: float
    changes: int
    node_tasks: int


@dataclass(frozen=True)
class Unsettled:
    """Something that had not come to rest when the run had to end."""

    what: str


Record = (
    Setup
    | Read
    | Change
    | Put
    | SideIndex
    | TaskSeen
    | Foreign
    | Disturbance
    | Version
    | NodeTask
    | NodeEnd
    | IndexesEnd
    | Quiet
    | Unsettled
)
_KINDS: Final[dict[str, Any]] = {kind.__name__: kind for kind in Record.__args__}
Kind = TypeVar("Kind")


class History:
    """Records as they come, from any thread."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = list(records)
        self._lock = threading.Lock()

    def add(self, record: Record) -> None:
        """Keep a record."""
        with self._lock:
            self._records.append(record)

    def __iter__(self) -> Iterator[Record]:
        with self._lock:
            return iter(tuple(self._records))

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the records of one kind, in the order in which they came."""
        return [record for record in self if isinstance(record, kind)]

    def save(self, path: Path) -> None:
        """Write one JSON object per line."""
        with path.open("w") as file:
            for record in self:
                line = {"record": type(record).__name__, **asdict(record)}
                file.write(json.dumps(line, separators=(",", ":")) + "\n")


def load(path: Path) -> History:
    """Read what `save` wrote."""
    with path.open() as file:
        return History(_record(json.loads(line)) for line in file)


def _record(line: dict[str, Any]) -> Record:
    kind = _KINDS[line.pop("record")]
    assert line.keys() == {field.name for field in fields(kind)}, line
    found: Record = kind(**{name: _frozen(value) for name, value in line.items()})
    return found


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

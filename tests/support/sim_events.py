"""
What a checker is told: things seen from outside, as values, in the past tense.

A history is a list of these. Simulated runs make them; tests of the checker write them by hand.
`truth` is what a node really serves, secrets included, as bytes: equal means equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ticked:
    """Time went on; nothing else happened."""

    at_s: float


@dataclass(frozen=True)
class Asked:
    """
    What a client asks for beside its patch.

    Attributes:
        seen: The versions that it was made for; empty: whichever.
        former: The version that is to come back.
    """

    seen: frozenset[int] = frozenset()
    former: int | None = None


@dataclass(frozen=True)
class Opened:
    """
    An intent is durable.

    Attributes:
        nodes: Whom it is for.
    """

    at_s: float
    intent: int
    index: str
    kind: str
    patch: Mapping[str, Any] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)
    primary_key: str | None = None


@dataclass(frozen=True)
class Started:
    """A leader has begun an intent."""

    at_s: float
    intent: int
    index: str


@dataclass(frozen=True)
class Closed:
    """An intent has ended."""

    at_s: float
    intent: int
    index: str
    phase: str


@dataclass(frozen=True)
class Committed:
    """
    The store has taken a commit.

    Attributes:
        base: Version before.
        fingerprints: Engine -> fingerprint.
        proved: Nodes that it rests on.
    """

    at_s: float
    intent: int
    index: str
    kind: str
    base: int
    version: int
    raised: bool
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    proved: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Switched:
    """The view that requests are answered from knows a version as committed."""

    at_s: float
    index: str
    version: int


@dataclass(frozen=True)
class Guarded:
    """A guarded write has succeeded."""

    at_s: float
    name: str
    epoch: int
    newest_epoch: int
    revision: int
    newest_revision: int


@dataclass(frozen=True)
class NodeChanged:
    """
    An index of a node shows something new (truth None: it is gone).

    Attributes:
        by: The type of the node's task.
    """

    at_s: float
    node: str
    index: str
    truth: bytes | None
    origin: str
    by: str = "settingsUpdate"


@dataclass(frozen=True)
class Upgraded:
    """A node runs another engine version from now on; its indexes show what that makes of them."""

    at_s: float
    node: str
    engine: str


@dataclass(frozen=True)
class NodeRead:
    """A node has answered a reading of its settings to a living process."""

    at_s: float
    node: str
    index: str


@dataclass(frozen=True)
class Proofs:
    """
    Who is held to be proved at which version now; `source` is store or view.

    Attributes:
        calm: Nodes that nothing hinders a sweep from reading: up, reachable, no change open.
    """

    at_s: float
    source: str
    index: str
    proved: Mapping[str, int]
    calm: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Returned:
    """
    A node that was kept apart for a change may answer again.

    Attributes:
        lags: Whether documents are not done that were queued when it was read back.
    """

    at_s: float
    node: str
    index: str
    lags: bool


@dataclass(frozen=True)
class Departed:
    """
    A request that changes a node has left a process.

    Attributes:
        durable: State of the node in the started intent of the store at that moment, or None.
    """

    at_s: float
    node: str
    index: str
    name: str
    body: Mapping[str, Any]
    durable: str | None


@dataclass(frozen=True)
class Look:
    """
    One node's part in an answer, as the node itself tells it.

    Attributes:
        truth: What it served.
        asked_s: When the request left for it.
        engine: Its engine version at that moment; empty: the one that it has now.
    """

    node: str
    truth: bytes
    asked_s: float
    engine: str = ""


@dataclass(frozen=True)
class Answered:
    """
    A search was answered.

    Attributes:
        began_s: When it was asked.
        looks: One for each shard.
    """

    at_s: float
    began_s: float
    index: str
    floor: int | None
    version: int
    flagged: bool
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Denied:
    """
    A search was not answered.

    Attributes:
        code: Of the error.
    """

    at_s: float
    began_s: float
    index: str
    floor: int | None
    code: str


@dataclass(frozen=True)
class Accepted:
    """A client was told of a task."""

    at_s: float
    task: int
    index: str
    status: str


@dataclass(frozen=True)
class Refused:
    """A client's change was refused at once."""

    at_s: float
    index: str
    valid: bool


@dataclass(frozen=True)
class Mismatched:
    """A client's change was refused because the settings are not those that it was made for."""

    at_s: float
    began_s: float
    index: str
    seen: frozenset[int]


@dataclass(frozen=True)
class Unmoved:
    """A client was told at once that there is nothing to do."""

    at_s: float
    began_s: float
    index: str
    patch: Mapping[str, Any]
    asked: Asked


@dataclass(frozen=True)
class CommonChanged:
    """
    The API keys or experimental features of a node are something new.

    Attributes:
        uid: Of the common object.
        shown: What the node shows, values of keys included.
    """

    at_s: float
    node: str
    uid: str
    shown: Mapping[str, Any]
    origin: str


@dataclass(frozen=True)
class CommonAnswered:
    """
    A client was told that its key or feature is as it wanted it.

    Attributes:
        wanted: By key uid or flag: a part of the definition, None for gone, on or off.
    """

    at_s: float
    began_s: float
    uid: str
    wanted: Mapping[str, Any]


@dataclass(frozen=True)
class Written:
    """A log line, an error for a client, or another output."""

    at_s: float
    text: str


Event = (
    Ticked
    | Opened
    | Started
    | Closed
    | Committed
    | Switched
    | Guarded
    | NodeChanged
    | Upgraded
    | NodeRead
    | Proofs
    | Returned
    | Departed
    | Answered
    | Denied
    | Accepted
    | Refused
    | Mismatched
    | Unmoved
    | CommonChanged
    | CommonAnswered
    | Written
)

"""
The port of the settings commands: a server whose settings can be read and changed.

Two adapters: `plain.py` (one Meilisearch) and `proxy.py` (Miroir). Commands speak to this port
alone and do not ask which one they have; what only one of them can do, the other refuses in a
sentence that names what to do instead (`Unfit`). Nothing here talks to a server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from miroir.cli.faults import UsageFault
from miroir.core.estimate import PastChange, PastIndexing

Json = dict[str, Any]
State = Literal["waiting", "running", "succeeded", "failed"]


class Unfit(UsageFault):
    """This server cannot do what was asked for."""


class Moved(UsageFault):
    """The settings are no longer those that a plan was made for."""

    exit_status = 1


@dataclass(frozen=True)
class NodeInfo:
    """
    One node as the target tells of it.

    Attributes:
        where: Its place, for people: `shard 0, group 1`; empty for a plain Meilisearch.
    """

    name: str
    url: str
    healthy: bool
    engine: str | None
    where: str = ""


@dataclass(frozen=True)
class Live:
    """
    An index as it is now.

    Attributes:
        settings: As shown, outermost keys of embedders masked; None: there is no such index.
        version: Of the settings; None where there are no versions.
        documents: On the fullest node; None: not known.
        busy: Changes of its settings that have not ended, in words.
        form: How a change would be carried: words for the plan.
        second_cover: Whether one half of the nodes can answer while the other is changed.
        cells: Node -> version and state, of a cluster.
        phase: Of the change that is open.
        unconfirmed: What undoes itself, and when; None: nothing.
        frozen: Why document writes are refused.
    """

    index: str
    settings: Mapping[str, Any] | None
    fingerprint: str = ""
    version: int | None = None
    documents: int | None = None
    busy: tuple[str, ...] = ()
    form: str = "one node: new settings are seen when its task has ended"
    second_cover: bool = False
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    phase: str = "idle"
    unconfirmed: Mapping[str, Any] | None = None
    frozen: str | None = None


@dataclass(frozen=True)
class Order:
    """
    A change to be made.

    Attributes:
        patch: With true secrets. Never logged, never printed.
        target: Complete settings that it leads to, for the read-back.
        base: What it was planned upon.
        confirm_s: It undoes itself after this time unless it is confirmed.
        canary: Golden queries, as Miroir takes them.
    """

    index: str
    patch: Mapping[str, Any]
    target: Mapping[str, Any]
    base: Live
    by: str = ""
    reason: str = ""
    confirm_s: int | None = None
    canary: Any = None


@dataclass(frozen=True)
class Ticket:
    """An accepted change, to be followed."""

    order: Order
    task: int
    intent: int | None = None


@dataclass(frozen=True)
class NodeProgress:
    """
    What one node does.

    Attributes:
        percent: Of its batch, where the node tells.
        error: What went wrong there.
        left_s: An estimate from how the percentage moves.
        step: What it does, in the engine's words.
    """

    name: str
    state: str
    percent: float | None = None
    error: str = ""
    left_s: float | None = None
    step: str = ""


@dataclass(frozen=True)
class Progress:
    """
    Where an accepted change stands.

    Attributes:
        phase: In the target's own word.
        version: That it became.
    """

    state: State
    phase: str
    nodes: tuple[NodeProgress, ...] = ()
    error: str = ""
    version: int | None = None


@dataclass(frozen=True)
class Running:
    """
    A change that has not ended, whoever made it.

    Attributes:
        what: Its kind and number.
        left_s: An estimate, from what such changes took before.
    """

    index: str
    what: str
    progress: Progress
    left_s: float | None = None


@dataclass(frozen=True)
class Version:
    """
    One settings version of a history.

    Attributes:
        diff: Key -> (before, after).
        settings: Complete; None: not known.
        nodes: Node -> task and duration, in words.
    """

    version: int
    at: str
    by: str
    reason: str
    kind: str
    diff: Mapping[str, Any]
    settings: Mapping[str, Any] | None = None
    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    duration: str | None = None


@dataclass(frozen=True)
class Past:
    """What estimates are learnt from, newest first."""

    changes: tuple[PastChange, ...] = ()
    writes: tuple[PastIndexing, ...] = ()


class Target(Protocol):
    """
    A server with settings. Every method may raise `NoAnswer` or `Refused`.

    Attributes:
        kind: What it is, for documents.
        url: Where it is.
        versioned: Whether it keeps versions itself.
    """

    kind: Literal["meilisearch", "miroir"]
    url: str
    versioned: bool

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return the nodes."""
        ...

    def indexes(self) -> tuple[str, ...]:
        """Return the names of all indexes, sorted."""
        ...

    def live(self, index: str) -> Live:
        """Return an index as it is now."""
        ...

    def past(self, index: str) -> Past:
        """Return what is known of past changes and writes."""
        ...

    def submit(self, order: Order) -> Ticket:
        """Start a change; `Moved` if the settings are no longer those of `order.base`."""
        ...

    def progress(self, ticket: Ticket) -> Progress:
        """Return where it stands; success only after the settings were read back."""
        ...

    def running(self) -> tuple[Running, ...]:
        """Return every change that has not ended, oldest first."""
        ...

    def history(self, index: str, limit: int) -> tuple[Version, ...]:
        """Return versions, newest first."""
        ...

    def version(self, index: str, number: int) -> Version:
        """Return one version with its complete settings."""
        ...

    def rollback(self, index: str, number: int, *, by: str, reason: str) -> Ticket | None:
        """Start bringing a former version back; None: it is in force already."""
        ...

    def cancel(self, change: int) -> str:
        """Take a change back that no node was asked for; return the name of its index."""
        ...

    def confirm(self, index: str, version: int | None) -> Json:
        """Keep a change that would undo itself."""
        ...

    def thaw(self, index: str) -> Json:
        """Let document writes through again."""
        ...

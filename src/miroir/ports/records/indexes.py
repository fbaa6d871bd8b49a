"""Leases, and indexes as the cluster wants them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from miroir.core.topology import IndexUid

NOT_CREATED: Final = "it was not there when the index was made"
"""Why a replica is out of sync from the first moment of an index on."""

NOT_MOVED: Final = "it was not there when indexes were swapped"
"""Why a replica is out of sync for every index of a swap."""


@dataclass(frozen=True)
class Lease:
    """
    The right to lead one scope.

    Attributes:
        scope: What is led, e.g. `index:movies`.
        holder: The process that leads.
        epoch: Grows by one each time the lease changes hands; sent with every guarded write.
    """

    scope: str
    holder: str
    epoch: int


@dataclass(frozen=True)
class Unconfirmed:
    """
    A committed change that undoes itself unless somebody confirms it in time.

    Attributes:
        base_version: The version whose settings come back.
        until_ms: When.
    """

    base_version: int
    until_ms: int


@dataclass(frozen=True)
class IndexRecord:
    """
    One index as the cluster wants it.

    Attributes:
        uid: Its name.
        primary_key: None until known.
        version: Last committed settings version; 0 before the first. Survives deletion.
        settings: Desired settings, complete, with true secrets; None before the first commit.
        fingerprints: Engine version -> fingerprint of the last committed read-back.
        frozen_reason: Why document writes are refused, or None.
        deleted: Whether it was deleted through Miroir; repair never re-creates such an index.
        created_at_ms: First creation since the last deletion.
        updated_at_ms: Last committed change.
        unconfirmed: Of the last committed change, if it waits to be confirmed.
    """

    uid: IndexUid
    primary_key: str | None
    version: int
    settings: Mapping[str, Any] | None
    fingerprints: Mapping[str, str]
    frozen_reason: str | None
    deleted: bool
    created_at_ms: int
    updated_at_ms: int
    unconfirmed: Unconfirmed | None = None

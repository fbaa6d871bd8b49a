"""Who is told of tasks that have ended, and what is still to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from miroir.ports.records.tasks import TaskRecord


@dataclass(frozen=True)
class Webhook:
    """
    A receiver of notices.

    Attributes:
        uuid: Its name; that of zeros alone is the one of the configuration.
        url: Where to. It may hold a secret, and so may any header.
        headers: Sent along.
    """

    uuid: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Backlog:
    """
    How many notices at most.

    Attributes:
        count: So many.
        chars: So long together, as they are stored; settings tasks carry their whole patch.
    """

    count: int
    chars: int


@dataclass(frozen=True)
class Notice:
    """
    One task to be told to one webhook.

    Attributes:
        number: Grows; the order in which tasks ended.
        task: As it was when it ended.
    """

    number: int
    task: TaskRecord

"""
Looking at a cluster from outside while something happens: a change, a condition, searches.

Everything is seen through the public and the admin API by polling, as any client could.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from miroir.cli.admin_client import AdminClient, NoAnswer, Refused, Reply
from miroir.cli.cluster import LocalCluster
from miroir.cli.demo_view import ChangeSeen, ChangeView

_POLL_S: Final = 0.01
_SEARCH_EVERY_S: Final = 0.1
_CHANGE_S: Final = 90.0
_CLOSED: Final = frozenset({"converged", "aborted", "refused", "frozen", "canceled"})

Each = Callable[[dict[str, Any], ChangeView, float], None]


def follow(
    cluster: LocalCluster,
    index_uid: str,
    begin: Callable[[], Reply],
    view: ChangeView,
    *,
    each: Each | None = None,
) -> ChangeSeen:
    """
    Begin a settings change and show it until it has ended; return what was seen.

    Args:
        cluster: Where.
        index_uid: Whose settings.
        begin: Sends the request.
        view: Shows each look.
        each: Told of each look too; may interfere.

    Raises:
        Refused: Miroir did not accept the change.
        NoAnswer: It has not ended in time.
    """
    began_s = time.monotonic()
    task_uid = begin().ok()["taskUid"]
    admin = cluster.admin()
    while time.monotonic() < began_s + _CHANGE_S:
        intent = _intent_of(admin, index_uid, task_uid)
        elapsed_s = time.monotonic() - began_s
        if intent is not None:
            view.look(intent, elapsed_s)
            if intent["phase"] in _CLOSED:
                return view.seen
            if each:
                each(intent, view, elapsed_s)
        time.sleep(_POLL_S)
    raise NoAnswer(f"the change of {index_uid} has not ended within {_CHANGE_S:g} s")


def _intent_of(admin: AdminClient, index_uid: str, task_uid: int) -> dict[str, Any] | None:
    for intent in admin.get("/_miroir/intents?limit=5")["results"]:
        if intent["index"] == index_uid and intent["taskUid"] == task_uid:
            found: dict[str, Any] = intent
            return found
    return None


def wait_until(holds: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether the condition came true in time; no answer counts as not yet."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        try:
            if holds():
                return True
        except (NoAnswer, Refused):
            pass  # Not yet: a node that starts, or is being repaired, may not answer.
        time.sleep(_POLL_S * 5)
    return False


@dataclass(frozen=True)
class Answer:
    """
    What one search was told.

    Attributes:
        version: The settings version in the header.
        total: How many documents it found.
        flagged: Whether versions may be mixed in it.
    """

    version: int
    total: int
    flagged: bool


class Searches:
    """A client that searches all the time, in a thread of its own, and remembers every answer."""

    def __init__(
        self, client: AdminClient, index_uid: str, query: str, every_s: float = _SEARCH_EVERY_S
    ) -> None:
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._client = client
        self._path = f"/indexes/{index_uid}/search"
        self._body = {"q": query, "limit": 3}
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def count(self) -> int:
        """How many searches there were."""
        return len(self.answers) + len(self.failures)

    @property
    def flagged(self) -> int:
        """How many answers were marked: versions may be mixed in them."""
        return sum(answer.flagged for answer in self.answers)

    def wrong(self, totals: Mapping[int, int]) -> int:
        """Count the unmarked answers that did not find what their version finds."""
        return sum(
            not answer.flagged and answer.total != totals.get(answer.version)
            for answer in self.answers
        )

    def __enter__(self) -> Self:
        self._search()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self._search()

    def _search(self) -> None:
        try:
            reply = self._client.request("POST", self._path, self._body)
            total = int(reply.ok()["estimatedTotalHits"])
        except (NoAnswer, Refused) as error:
            self.failures.append(str(error))
            return
        version = int(reply.headers["x-miroir-settings-version"])
        flagged = "x-miroir-settings-inconsistent" in reply.headers
        self.answers.append(Answer(version, total, flagged))

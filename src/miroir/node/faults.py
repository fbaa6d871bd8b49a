"""
Faults on demand, for tests of whatever stands in front of a node. Only with `--faults`.

`POST /_faults` replaces the rules by a JSON list; `GET /_faults` shows them with `matched` counts;
`DELETE /_faults` removes them and releases everything that they hold up. The three need no key and
are never themselves subject to a fault. Every rule is an object:

    {"fault": <kind>,
     "times": n,            applies to its next n matches, then never again (default: for ever)
     "skip": n,             lets the first n matches pass
     "probability": p,      applies to a match with this chance, drawn from `seed` (default 1, 0)
     ...}

Faults of requests (may also name `"method": "POST"` and `"path": "<regex searched in the path>"`):

    latency        "ms": n                     the answer comes n ms later; the work is done after
    status         "status": 503               answered at once, no work (also "code", "message")
    reset          -                           connection reset, no work
    lost_response  -                           work done, then the connection is closed unanswered
    slow_body      "ms": n, "chunks": 10       the answer's body trickles over n ms
    crash          "at": "request"|"response"  the process dies before or after the work

Faults of the whole server, applied when they are posted:

    refuse         "ms": n                     no new connection is accepted for n ms
    crash          "at": "now"                 the process dies

Faults of tasks (may also name `"type": "settingsUpdate"` and `"index": "<regex>"`):

    task_stall     "ms": n                     the task stays `processing` for n ms; without ms,
                                               until the rules are replaced or deleted
    task_fail      "code", "message"           the task fails with this error and has no effect
    setting_ignored "keys": ["synonyms"]       a settings task succeeds, these keys stay unchanged
    crash          "at": "task_start"          dies with the task marked as processing
                   "at": "task_commit"         dies with everything computed, nothing written
                   "at": "task_end"            dies right after the effect became durable

All rules that match apply, in the order of the list. Rules are not persisted.
"""

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.tasks.model import Task
from miroir.node.validate import (
    Member,
    Place,
    anything,
    array,
    number,
    one_of,
    string,
    struct,
    unsigned,
)

KINDS: Final = (
    "latency", "status", "reset", "lost_response", "slow_body", "refuse", "crash",
    "task_stall", "task_fail", "setting_ignored",
)  # fmt: skip
_MOMENTS: Final = ("now", "request", "response", "task_start", "task_commit", "task_end")
_POLL_S: Final = 0.02
_EXIT_STATUS: Final = 137  # what a shell shows for a process that was killed by SIGKILL


def _pattern(value: Any, place: Place) -> str:
    text = string(value, place)
    try:
        re.compile(text)
    except re.error as error:
        raise place.invalid(f"not a regular expression: {error}") from error
    return text


_rule: Final = struct(
    fault=Member(one_of(*KINDS), required=True),
    times=Member(unsigned()),
    skip=Member(unsigned()),
    probability=Member(number),
    seed=Member(unsigned()),
    method=Member(string),
    path=Member(_pattern),
    type=Member(string),
    index=Member(_pattern),
    ms=Member(unsigned()),
    status=Member(unsigned(599)),
    code=Member(string),
    message=Member(string),
    chunks=Member(unsigned()),
    keys=Member(array(string)),
    at=Member(one_of(*_MOMENTS)),
    note=Member(anything),
)


@dataclass
class Rule:
    """One rule and how often it matched."""

    given: dict[str, Any]
    matched: int = 0
    applied: int = 0
    chance: random.Random = field(default_factory=random.Random)

    @property
    def kind(self) -> str:
        """Return which fault it is."""
        return str(self.given["fault"])

    def takes(self) -> bool:
        """Count a match; return whether the fault applies to it."""
        self.matched += 1
        if self.matched <= self.given.get("skip", 0):
            return False
        if self.applied >= self.given.get("times", float("inf")):
            return False
        if self.chance.random() >= self.given.get("probability", 1):
            return False
        self.applied += 1
        return True


class Faults:
    """
    The rules in force. Safe from any thread.

    Args:
        die: Ends the process; replaced in tests of this class only.
    """

    def __init__(self, die: Callable[[], None] | None = None) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._generation = 0
        self._die = die or _exit

    def replace(self, body: Any) -> None:
        """
        Put new rules in force; what older ones held up is released.

        Raises:
            ApiError: `bad_request`, a rule is malformed; the old rules stay.
        """
        given = array(_rule)(body if isinstance(body, list) else [body], Place())
        rules = [Rule(rule, chance=random.Random(rule.get("seed", 0))) for rule in given]  # noqa: S311
        with self._lock:
            self._rules = rules
            self._generation += 1
        if any(rule.kind == "crash" and rule.given.get("at", "now") == "now" for rule in rules):
            self._die()

    def view(self) -> list[dict[str, Any]]:
        """Return the rules with their counts."""
        with self._lock:
            return [
                {**rule.given, "matched": rule.matched, "applied": rule.applied}
                for rule in self._rules
            ]

    def refusal_ms(self) -> int:
        """Return for how long no connection shall be accepted, 0 for not at all."""
        with self._lock:
            return sum(
                rule.given.get("ms", 0)
                for rule in self._rules
                if rule.kind == "refuse" and rule.takes()
            )

    def of_request(self, method: str, path: str) -> list[Rule]:
        """Return the faults that apply to a request, counting it."""
        with self._lock:
            return [
                rule
                for rule in self._rules
                if _is_of_request(rule)
                and rule.given.get("method", method).upper() == method
                and re.search(rule.given.get("path", ""), path)
                and rule.takes()
            ]

    def crash(self) -> None:
        """End the process as a kill would."""
        self._die()

    def task_started(self, task: Task, released: threading.Event) -> None:
        """
        Apply what happens when a task starts.

        Raises:
            ApiError: The task shall fail.
        """
        self._crash_at("task_start", task)
        for rule in self._of_task(task, "task_stall"):
            self._stall(rule, released)
        for rule in self._of_task(task, "task_fail"):
            message = rule.given.get("message", "the task was made to fail")
            raise ApiError(rule.given.get("code", "internal"), message)

    def task_committing(self, task: Task) -> None:
        """Apply what happens when everything is computed and nothing written."""
        self._crash_at("task_commit", task)

    def task_ended(self, task: Task) -> None:
        """Apply what happens when the effect of a task is durable."""
        self._crash_at("task_end", task)

    def ignored_settings(self, task: Task) -> set[str]:
        """Return the settings that a settings task shall silently leave alone."""
        rules = self._of_task(task, "setting_ignored")
        return {key for rule in rules for key in rule.given.get("keys", [])}

    def _of_task(self, task: Task, kind: str, at: str | None = None) -> Iterator[Rule]:
        with self._lock:
            found = [
                rule
                for rule in self._rules
                if rule.kind == kind
                and (at is None or rule.given.get("at") == at)
                and rule.given.get("type", task.type) == task.type
                and re.search(rule.given.get("index", ""), task.index_uid or "")
                and rule.takes()
            ]
        return iter(found)

    def _crash_at(self, moment: str, task: Task) -> None:
        for _ in self._of_task(task, "crash", moment):
            self._die()

    def _stall(self, rule: Rule, released: threading.Event) -> None:
        """Wait for the rule's time, new rules, or `released`, whichever comes first."""
        generation = self._generation
        end = time.monotonic() + rule.given.get("ms", float("inf")) / 1000
        while (left_s := end - time.monotonic()) > 0 and self._generation == generation:
            if released.wait(min(_POLL_S, left_s)):
                return


def _is_of_request(rule: Rule) -> bool:
    if rule.kind == "crash":
        return rule.given.get("at") in {"request", "response"}
    return rule.kind in {"latency", "status", "reset", "lost_response", "slow_body"}


def _exit() -> None:
    os._exit(_EXIT_STATUS)

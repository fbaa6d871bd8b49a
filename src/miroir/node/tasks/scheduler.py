"""
The scheduler: one thread that does the tasks, one after the other.

```
wait -> start_next -> plan (computing, no lock) -> carry out (lock + one transaction) -> wait
                          |                             |
                          +-- ApiError: failed          +-- commit fails: engine rebuilt from store
                          +-- aborted: back to the queue
```
One task is one batch. A task's status and effect are one commit, so a kill at any moment leaves it
either not done (it is enqueued again at restart) or done.
"""

import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

from miroir.node.documents.table import count_documents
from miroir.node.errors import ApiError
from miroir.node.tasks import run_documents, run_indexes, run_tasks
from miroir.node.tasks.bench import Bench, Plan
from miroir.node.tasks.model import AbortedError, Task, details_of_failure
from miroir.node.tasks.queue import finish

_STOP_S: Final = 2.0
_Execution: TypeAlias = Callable[[Bench, Task], Plan]
_EXECUTIONS: Final[dict[str, _Execution]] = {
    "documentAdditionOrUpdate": run_documents.add_documents,
    "documentDeletion": run_documents.delete,
    "indexCreation": run_indexes.create,
    "indexUpdate": run_indexes.update,
    "indexDeletion": run_indexes.delete,
    "indexSwap": run_indexes.swap,
    "indexCompaction": run_indexes.compact,
    "settingsUpdate": run_indexes.settings,
    "taskCancelation": run_tasks.cancel_tasks,
    "taskDeletion": run_tasks.delete_tasks,
}


class Scheduler:
    """
    Does the tasks of a queue in a thread of its own.

    Args:
        bench: What executions work with.
        ended: Called with the tasks of a batch that has ended, from the scheduler's thread.
    """

    def __init__(self, bench: Bench, ended: Callable[[list[Task]], None]) -> None:
        self._bench = bench
        self._ended = ended
        self._wake = threading.Event()
        self._abort = threading.Event()
        self._stopping = False
        self._running: int | None = None
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)

    def start(self) -> None:
        """Put interrupted tasks back into the queue and begin."""
        self._bench.queue.recover()
        self._thread.start()

    def stop(self) -> None:
        """Stop after the running step. A task that computes on is dropped: it has no effect."""
        self._stopping = True
        self._abort.set()
        self._wake.set()
        self._thread.join(_STOP_S)

    def registered(self, task: Task) -> None:
        """Take notice of a new task. Called from the thread that registered it."""
        if task.type == "taskCancelation" and self._running in task.request["uids"]:
            self._abort.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._abort.clear()
            task = self._bench.queue.start_next()
            if task is None:
                self._wake.wait()
                continue
            self._running = task.uid
            self._do(task)
            self._running = None
            if task.batch_uid is not None:
                self._ended(self._bench.queue.ended_in(task.batch_uid))

    def _do(self, task: Task) -> None:
        faults = self._bench.faults
        try:
            faults.task_started(task, self._abort)
            plan = _EXECUTIONS[task.type](self._bench, task)
            faults.task_committing(task)
            self._carry_out(task, plan)
        except AbortedError:
            self._bench.queue.put_back(task)
        except ApiError as error:
            self._fail(task, error)
        except Exception as error:  # noqa: BLE001  a bug fails one task, not the whole queue
            traceback.print_exc(file=sys.stderr)
            self._fail(task, ApiError("internal", f"An internal error has occurred. `{error}`."))
        else:
            faults.task_ended(task)

    def _carry_out(self, task: Task, plan: Plan) -> None:
        if self._abort.is_set():
            raise AbortedError
        with self._bench.catalog.lock:
            try:
                plan.memory()
                with self._bench.store.transaction() as db:
                    before = self._size(plan)
                    counted = plan.store(db)
                    self._succeed(db, task, counted, (before, self._size(plan)))
            except BaseException:
                if plan.reload is not None:
                    self._bench.catalog.reload(plan.reload)
                raise

    def _size(self, plan: Plan) -> int:
        """Return how many bytes the documents of the index have that a plan is about."""
        return 0 if plan.indexed is None else count_documents(self._bench.store, plan.indexed)[1]

    def _succeed(
        self,
        db: sqlite3.Connection,
        task: Task,
        counted: dict[str, Any],
        sizes_bytes: tuple[int, int],
    ) -> None:
        details = None if task.details is None else {**task.details, **counted}
        finish(db, replace(task, status="succeeded", details=details), sizes_bytes)

    def _fail(self, task: Task, error: ApiError) -> None:
        failed = replace(
            task, status="failed", error=error.body(), details=details_of_failure(task.details)
        )
        with self._bench.store.transaction() as db:
            finish(db, failed)
        self._bench.faults.task_ended(failed)

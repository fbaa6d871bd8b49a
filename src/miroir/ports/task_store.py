"""
What is done to tasks from outside, as the services see it: part of the port `Store`.

Recalling. A cancelation marks every unfinished task that it matches (`TaskRecord.recalled_by`).
Who carries such a task out ends it: `canceled`, then it was cancelled by that cancelation; or as
it would have ended anyway. The cancelation itself ends with the last of those it has marked, in
the same transaction.

Batches. Miroir carries each task out by itself, so a task is a batch of its own and lends it its
uid; one that was cancelled is in the batch of its cancelation, as on one node. Nothing is stored
for that.

Notices. Every task that ends leaves one notice per webhook, in the transaction in which it ends.

The contract is that of `ports/store.py`.
"""

from typing import Protocol

from miroir.ports.records import (
    Backlog,
    BatchPage,
    Intent,
    NewTask,
    Notice,
    TaskPage,
    TaskQuery,
    TaskRecord,
    Webhook,
)


class TaskStore(Protocol):
    """Lists, recalls and deletes tasks, and keeps who is told of them."""

    async def task(self, uid: int) -> TaskRecord | None:
        """Return one task."""
        ...

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """List tasks, newest first unless reversed."""
        ...

    async def batches(self, query: TaskQuery) -> BatchPage:
        """
        List batches, newest first unless reversed; `from_uid` is the uid of one.

        Each restriction of the query must hold for some task of the batch, not all for the same.
        """
        ...

    # ---- cancelations and deletions

    async def open_cancelation(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """
        Give out the next uid to a cancelation and recall what it matches; paging is ignored.

        `matchedTasks` and `canceledTasks` are added to the details. Tasks that have ended count as
        matched; cancelations and deletions are left alone; a task that was recalled before stays
        with the first one. The cancelation has succeeded already if nothing is recalled.
        """
        ...

    async def recalled_tasks(self) -> tuple[TaskRecord, ...]:
        """Return the unfinished tasks that are recalled, oldest first."""
        ...

    async def let_go(self, uid: int, *, at_ms: int) -> None:
        """A recalled task cannot be cancelled: it is recalled no longer."""
        ...

    async def cancel_intent(self, intent_id: int, *, at_ms: int) -> Intent | None:
        """
        Close a change that has not started, its task canceled; None, and nothing done, if it has.

        Whoever is about to start it is deposed by that (see `Store.start_intent`).
        """
        ...

    async def delete_tasks(self, query: TaskQuery, task: NewTask) -> TaskRecord:
        """
        Delete the ended tasks among those that a query matches, for ever; paging is ignored.

        Returns the deletion as a task, which has succeeded: `matchedTasks` and `deletedTasks` are
        added to the details. Intents and the history of settings stay, and so do uids: none is
        given out twice.
        """
        ...

    # ---- webhooks

    async def webhooks(self) -> tuple[Webhook, ...]:
        """Return who is told of ended tasks, ordered by uuid."""
        ...

    async def put_webhook(self, webhook: Webhook) -> None:
        """
        Add a webhook, or replace the one of this uuid, which keeps its notices.

        Raises:
            SecretsRefused: It has headers, and there is no key to seal them by.
        """
        ...

    async def drop_webhook(self, uuid: str) -> bool:
        """Delete a webhook and its notices; False if there is none of this uuid."""
        ...

    async def notices(self, uuid: str, limit: Backlog) -> tuple[Notice, ...]:
        """Return the oldest notices of a webhook within the limit; one of them in any case."""
        ...

    async def trim_notices(self, uuid: str, limit: Backlog) -> int:
        """Forget all but the newest notices of a webhook within the limit; return how many."""
        ...

    async def drop_notices(self, uuid: str, up_to: int) -> None:
        """Forget the notices of a webhook up to this number: it has been told, or never will."""
        ...

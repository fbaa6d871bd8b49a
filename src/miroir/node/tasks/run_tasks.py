"""Execution of tasks about tasks: cancelation and deletion."""

import sqlite3
from typing import Any

from miroir.node.tasks.bench import Bench, Plan
from miroir.node.tasks.model import Task
from miroir.node.tasks.queue import cancel, forget


def cancel_tasks(_bench: Bench, task: Task) -> Plan:
    """Plan the cancelation of those of the matched tasks that have not ended."""

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        return {"canceledTasks": cancel(db, task.request["uids"], task)}

    return Plan(store)


def delete_tasks(_bench: Bench, task: Task) -> Plan:
    """Plan the deletion of those of the matched tasks that have ended."""

    def store(db: sqlite3.Connection) -> dict[str, Any]:
        return {"deletedTasks": forget(db, task.request["uids"])}

    return Plan(store)

"""
Several calls at once, and one outcome: all their results, or the error of the first that failed.

The other calls are cancelled then. Only for calls that belong to one request of a client.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def side_by_side(*calls: Coroutine[Any, Any, Result]) -> list[Result]:
    """
    Return what the calls return, in their order.

    Raises:
        Exception: What a call raised; of several that failed at once, the first given.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except* Exception:  # noqa: BLE001 - one of them is raised again below
        failed = [task for task in tasks if not task.cancelled() and task.exception() is not None]
        error = failed[0].exception()
        assert error is not None, "a group fails with the error of a task"
    else:
        return [task.result() for task in tasks]
    raise error

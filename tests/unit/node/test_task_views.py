"""Tasks as the API shows them."""

import pytest

from miroir.node.tasks.model import Task
from miroir.node.tasks.views import summary


@pytest.mark.parametrize("status", ["enqueued", "processing", "succeeded", "failed"])
def test_who_registers_a_task_is_told_that_it_is_enqueued(status: str) -> None:
    """A quick task may have ended before the answer is written; clients compare the answer."""
    task = Task(1, None, "i", status, "settingsUpdate", None, {}, None, {}, None, 0, 1, 2)

    assert summary(task)["status"] == "enqueued"

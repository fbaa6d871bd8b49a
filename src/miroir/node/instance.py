"""
One node, put together: store, catalog, queue, scheduler, keys, webhooks, features, faults.

The only file that knows which search engine is used and that starts the scheduler. It serves no
request; `app.py` does, with this object in hand.
"""

from functools import partial
from pathlib import Path
from typing import Any

from miroir.node.catalog import Catalog
from miroir.node.engine import SearchIndex
from miroir.node.faults import Faults
from miroir.node.features import FEATURES
from miroir.node.json_text import decode, encode_text
from miroir.node.keys import Keys
from miroir.node.store import Store, put_meta
from miroir.node.tasks.bench import Bench
from miroir.node.tasks.model import Task
from miroir.node.tasks.queue import Queue
from miroir.node.tasks.scheduler import Scheduler
from miroir.node.tasks.views import task_view
from miroir.node.webhooks import Webhooks


class Node:
    """
    A node on its database.

    Args:
        folder: Directory of the database.
        master_key: None leaves the node open.
        faults: Rules of faults; without them the node has no `/_faults`.
        quirks: Let ranking depend on the other documents where Meilisearch's does.
    """

    def __init__(
        self, folder: Path, master_key: str | None, faults: Faults | None, *, quirks: bool = False
    ) -> None:
        self.store = Store(folder)
        self.faults = faults
        self.catalog = Catalog(self.store, partial(SearchIndex, quirks=quirks))
        self.queue = Queue(self.store, self._registered)
        self.keys = Keys(self.store, master_key)
        self.webhooks = Webhooks(self.store)
        bench = Bench(self.store, self.catalog, self.queue, faults or Faults())
        self._scheduler = Scheduler(bench, self._ended)

    def start(self) -> None:
        """Build the engines from the store and begin to do tasks."""
        self.catalog.load()
        self.webhooks.start()
        self._scheduler.start()

    def stop(self) -> None:
        """Stop doing tasks and close the database."""
        self._scheduler.stop()
        self.webhooks.stop()
        self.store.close()

    def _registered(self, task: Task) -> None:
        self._scheduler.registered(task)

    def _ended(self, tasks: list[Task]) -> None:
        self.webhooks.notify([task_view(task) for task in tasks])

    @property
    def features(self) -> dict[str, bool]:
        """Return every experimental feature and whether it is on."""
        stored: dict[str, Any] = decode(self.store.meta("features") or "{}")
        return {name: bool(stored.get(name)) for name in FEATURES}

    def set_features(self, changes: dict[str, bool]) -> dict[str, bool]:
        """Switch features and return all of them."""
        with self.store.transaction() as db:
            put_meta(db, "features", encode_text({**self.features, **changes}))
        return self.features

"""
Keeps the list of webhooks: created, changed and deleted through the API, in the store.

Nodes never know of them: each would tell of its own tasks, with its own numbers, as often as there
are nodes. Who is told, and when, is `herald.py`'s. What a webhook can be: `core/webhooks.py`.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from miroir.core import webhooks as rules
from miroir.core.webhooks import Definition
from miroir.errors import BadParameter, WebhookNotFound
from miroir.ports.records import Webhook
from miroir.ports.store import Store


class Webhooks:
    """Changes the list; one change after the other."""

    def __init__(
        self, *, store: Store, configured: Definition | None, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._configured = configured
        self._changed = changed
        self._lock = asyncio.Lock()

    async def begin(self) -> None:
        """Put the webhook of the configuration in, or take out one that is gone from there."""
        if self._configured is None:
            await self._store.drop_webhook(rules.NIL)
        else:
            await self._put(rules.NIL, self._configured)
        self._changed()

    async def all(self) -> list[dict[str, Any]]:
        """Return every webhook as it is shown."""
        return [rules.shown(w.uuid, _definition(w)) for w in await self._store.webhooks()]

    async def get(self, text: str) -> dict[str, Any]:
        """
        Return one as it is shown.

        Raises:
            BadParameter: The text is no uuid.
            WebhookNotFound: There is none of this uuid.
        """
        id_ = rules.read_uuid(text)
        return rules.shown(id_, await self._find(id_))

    async def create(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """
        Add one.

        Raises:
            BadParameter: It cannot be one, or there are too many.
            SecretsRefused: It has headers, and there is no key to seal them by.
        """
        id_ = str(uuid.uuid4())
        async with self._lock:
            definition = rules.made(id_, asked)
            others = [w for w in await self._store.webhooks() if w.uuid != rules.NIL]
            if len(others) >= rules.COUNT_MAX:
                raise BadParameter(
                    "invalid_webhooks",
                    "Defining too many webhooks would crush the server. Please limit the number "
                    "of webhooks to 20. You may use a third-party proxy server to dispatch events "
                    "to more than 20 endpoints.",
                )
            await self._put(id_, definition)
        self._changed()
        return rules.shown(id_, definition)

    async def change(self, text: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Change one; raises what `get` and `create` raise."""
        id_ = rules.read_uuid(text)
        rules.check_editable(id_)
        async with self._lock:
            definition = rules.changed(id_, await self._find(id_), asked)
            await self._put(id_, definition)
        self._changed()
        return rules.shown(id_, definition)

    async def delete(self, text: str) -> None:
        """Delete one, with what it was still to be told; raises what `get` raises."""
        id_ = rules.read_uuid(text)
        rules.check_editable(id_)
        async with self._lock:
            if not await self._store.drop_webhook(id_):
                raise _not_found(id_)
        self._changed()

    async def _find(self, id_: str) -> Definition:
        for webhook in await self._store.webhooks():
            if webhook.uuid == id_:
                return _definition(webhook)
        raise _not_found(id_)

    async def _put(self, id_: str, definition: Definition) -> None:
        await self._store.put_webhook(Webhook(id_, definition.url, definition.headers))


def _definition(webhook: Webhook) -> Definition:
    return Definition(webhook.url, webhook.headers)


def _not_found(id_: str) -> WebhookNotFound:
    return WebhookNotFound(f"Webhook `{id_}` not found.")

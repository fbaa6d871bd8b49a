"""
Webhooks: who is told when tasks have ended, and the telling.

    task ends -> the batch's tasks as gzipped NDJSON -> POST to every URL, in a thread of its own

A receiver that does not answer loses its notice, as with Meilisearch; nothing is sent twice and
the queue never waits. An Authorization header is shown masked. Source: Meilisearch 1.50,
routes/webhooks.rs and index-scheduler (`notify_webhooks`).
"""

import gzip
import queue
import re
import sys
import threading
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from miroir.node.errors import ApiError
from miroir.node.json_text import decode, encode, encode_text
from miroir.node.keys import immutable_or_unknown, parse_uuid
from miroir.node.settings.embedders import hidden
from miroir.node.store import Store, put_meta
from miroir.node.validate import Member, Place, Struct, mapping, nullable, string

_COUNT_MAX: Final = 20
_HEADERS_MAX: Final = 200
_TIMEOUT_S: Final = 5.0
_META: Final = "webhooks"
_NIL: Final = str(uuid.UUID(int=0))
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_BEARER: Final = "Bearer "
_change: Final = Struct(
    {
        "url": Member(nullable(string), "invalid_webhook_url"),
        "headers": Member(nullable(mapping(nullable(string))), "invalid_webhook_headers"),
    },
    unknown=immutable_or_unknown(
        {"uuid": "immutable_webhook_uuid", "isEditable": "immutable_webhook_is_editable"}
    ),
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to send notices, and with which headers."""

    url: str
    headers: dict[str, str]

    def shown(self, id_: str) -> dict[str, Any]:
        """Return it as the API shows it."""
        headers = {name: _masked(name, value) for name, value in sorted(self.headers.items())}
        return {"uuid": id_, "isEditable": True, "url": self.url, "headers": headers}


def _masked(name: str, value: str) -> str:
    if name.lower() != "authorization":
        return value
    kept = _BEARER if value.startswith(_BEARER) else ""
    return kept + hidden(value[len(kept) :])


def read_uuid(text: str) -> str:
    """Return the uuid in a path; ApiError `invalid_webhook_uuid`."""
    try:
        return parse_uuid(text)
    except ValueError as error:
        raise ApiError("invalid_webhook_uuid", f"Invalid UUID: {error}") from error


def check_change(body: Any) -> None:
    """Refuse a body that changes no webhook (`bad_request`, `immutable_webhook_uuid`, ...)."""
    _change(body, Place())


class Webhooks:
    """The webhooks of this node."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notices: queue.SimpleQueue[list[dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to send notices."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what is under way is dropped with the process."""
        self._notices.put(None)

    def all(self) -> dict[str, Webhook]:
        """Return every webhook by its uuid."""
        stored: dict[str, Any] = decode(self._store.meta(_META) or "{}")
        return {id_: Webhook(**values) for id_, values in sorted(stored.items())}

    def get(self, id_: str) -> Webhook:
        """Return a webhook; ApiError `webhook_not_found`."""
        found = self.all().get(id_)
        if found is None:
            raise ApiError("webhook_not_found", f"Webhook `{id_}` not found.")
        return found

    def create(self, body: Any) -> dict[str, Any]:
        """Create a webhook from a request body; ApiError for a bad one or one too many."""
        asked, id_ = _change(body, Place()), str(uuid.uuid4())
        headers = asked.get("headers") or {}
        _require_few_headers(id_, headers)
        every = self.all()
        if len(every) >= _COUNT_MAX:
            raise ApiError(
                "invalid_webhooks",
                "Defining too many webhooks would crush the server. Please limit the number of "
                "webhooks to 20. You may use a third-party proxy server to dispatch events to "
                "more than 20 endpoints.",
            )
        values = {name: value or "" for name, value in headers.items()}
        made = Webhook(asked.get("url") or "", values)
        _require_usable(id_, made)
        self._save({**every, id_: made})
        return made.shown(id_)

    def change(self, id_: str, body: Any) -> dict[str, Any]:
        """Change a webhook: headers merge, null removes one; errors as `create` and `get`."""
        asked = _change(body, Place())
        _require_editable(id_)
        old = self.get(id_)
        if "url" in asked and asked["url"] is None:
            raise _missing_url(id_)
        headers = dict(old.headers)
        if "headers" in asked:
            given = asked["headers"]
            merged = {**headers, **(given or {})} if given is not None else {}
            headers = {name: value for name, value in merged.items() if value is not None}
        changed = Webhook(asked.get("url", old.url), headers)
        _require_few_headers(id_, headers)
        _require_usable(id_, changed)
        self._save({**self.all(), id_: changed})
        return changed.shown(id_)

    def delete(self, id_: str) -> None:
        """Delete a webhook; ApiError `webhook_not_found`."""
        _require_editable(id_)
        self.get(id_)
        self._save({known: hook for known, hook in self.all().items() if known != id_})

    def notify(self, tasks: list[dict[str, Any]]) -> None:
        """Tell every receiver of tasks that have ended. Returns at once."""
        self._notices.put(tasks)

    def _save(self, webhooks: Mapping[str, Webhook]) -> None:
        stored = {id_: {"url": w.url, "headers": w.headers} for id_, w in webhooks.items()}
        with self._store.transaction() as db:
            put_meta(db, _META, encode_text(stored))

    def _run(self) -> None:
        while (tasks := self._notices.get()) is not None:
            webhooks = self.all()
            if not webhooks:
                continue
            payload = gzip.compress(b"".join(encode(task) + b"\n" for task in tasks))
            for webhook in webhooks.values():
                _send(webhook, payload)


def _send(webhook: Webhook, payload: bytes) -> None:
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    try:
        request = urllib.request.Request(  # noqa: S310  an admin named the URL
            webhook.url, payload, {**headers, **webhook.headers}, method="POST"
        )
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()  # noqa: S310
    except (OSError, ValueError) as error:
        host = urlsplit(webhook.url).netloc
        print(f"webhook to {host} failed: {type(error).__name__}", file=sys.stderr)  # noqa: T201


def _require_editable(id_: str) -> None:
    if id_ == _NIL:
        raise ApiError(
            "immutable_webhook",
            f"Webhook `{id_}` is immutable. The webhook defined from the command line cannot be "
            "modified using the API.",
        )


def _require_few_headers(id_: str, headers: Mapping[str, Any]) -> None:
    if len(headers) > _HEADERS_MAX:
        raise ApiError(
            "invalid_webhook_headers",
            f"Too many headers for the webhook `{id_}`. Please limit the number of headers to "
            "200. Hint: To remove an already defined header set its value to `null`",
        )


def _missing_url(id_: str) -> ApiError:
    return ApiError("invalid_webhook_url", f"The URL for the webhook `{id_}` is missing.")


def _require_usable(id_: str, webhook: Webhook) -> None:
    if not webhook.url:
        raise _missing_url(id_)
    for name, value in webhook.headers.items():
        if not _HEADER_NAME.match(name):
            message = f"Invalid header name `{name}`: invalid HTTP header name"
            raise ApiError("invalid_webhook_headers", message)
        if any(char != "\t" and not " " <= char != "\x7f" for char in value):
            message = f"Invalid header value `{name}`: failed to parse header value"
            raise ApiError("invalid_webhook_headers", message)
    if (reason := _url_fault(webhook.url)) is not None:
        raise ApiError("invalid_webhook_url", f"Invalid URL `{webhook.url}`: {reason}")


def _url_fault(url: str) -> str | None:
    """Return what is wrong with a URL, in the words of the `url` crate."""
    try:
        parts = urlsplit(url)
        port_is_bad = parts.port is not None and parts.port < 0
    except ValueError as error:
        return "invalid port number" if "port" in str(error).lower() else "invalid IPv6 address"
    if not parts.scheme:
        return "relative URL without a base"
    if parts.scheme in {"http", "https"} and not parts.hostname:
        return "empty host"
    return "invalid port number" if port_is_bad else None

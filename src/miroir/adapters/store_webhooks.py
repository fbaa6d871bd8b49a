"""
Statements about webhooks, and the notices that are still to be sent to them.

Each function is the body of one transaction, or a part of one; the contract is
`ports/task_store.py`. URL and headers may hold secrets: both go through the seal.
"""

from typing import Final

from miroir.adapters import store_codec as codec
from miroir.adapters.store_transaction import Transaction
from miroir.ports.records import Backlog, Notice, TaskRecord, Webhook

WEBHOOK_LABEL: Final = "webhook.definition"


def webhooks(tx: Transaction) -> tuple[Webhook, ...]:
    """See `Store.webhooks`."""
    found: list[Webhook] = []
    for row in tx.rows("SELECT uuid, definition FROM webhook ORDER BY uuid"):
        definition = tx.seal.open(WEBHOOK_LABEL, row["definition"])
        found.append(Webhook(row["uuid"], definition["url"], definition["headers"]))
    return tuple(found)


def put(tx: Transaction, webhook: Webhook) -> None:
    """See `Store.put_webhook`."""
    definition = {"url": webhook.url, "headers": dict(webhook.headers)}
    tx.run(
        "INSERT INTO webhook (uuid, definition) VALUES (?, ?)"
        " ON CONFLICT (uuid) DO UPDATE SET definition = excluded.definition",
        *(webhook.uuid, tx.seal.seal(WEBHOOK_LABEL, definition)),
    )


def drop(tx: Transaction, uuid: str) -> bool:
    """See `Store.drop_webhook`."""
    tx.run("DELETE FROM webhook_notice WHERE uuid = ?", uuid)
    return tx.run("DELETE FROM webhook WHERE uuid = ?", uuid) > 0


def tell(tx: Transaction, task: TaskRecord) -> None:
    """A task has ended: leave a notice for every webhook."""
    for row in tx.rows("SELECT uuid FROM webhook ORDER BY uuid"):
        tx.run(
            "INSERT INTO webhook_notice (number, uuid, task) VALUES (?, ?, ?)",
            *(tx.next("notice"), row["uuid"], codec.task_text(task)),
        )


def notices(tx: Transaction, uuid: str, limit: Backlog) -> tuple[Notice, ...]:
    """See `Store.notices`."""
    rows = tx.rows(
        """SELECT number, task FROM (
            SELECT number, task, sum(length(task)) OVER (ORDER BY number) AS chars,
                row_number() OVER (ORDER BY number) AS place
            FROM (SELECT number, task FROM webhook_notice WHERE uuid = ?
                ORDER BY number LIMIT ?) AS oldest) AS counted
        WHERE place = 1 OR chars <= ? ORDER BY number""",
        *(uuid, limit.count, limit.chars),
    )
    return tuple(Notice(row["number"], codec.task_from_text(row["task"])) for row in rows)


def drop_notices(tx: Transaction, uuid: str, up_to: int) -> None:
    """See `Store.drop_notices`."""
    tx.run("DELETE FROM webhook_notice WHERE uuid = ? AND number <= ?", uuid, up_to)


def trim_notices(tx: Transaction, uuid: str, limit: Backlog) -> int:
    """See `Store.trim_notices`."""
    return tx.run(
        """DELETE FROM webhook_notice WHERE number IN (
            SELECT number FROM (
                SELECT number, sum(length(task)) OVER (ORDER BY number DESC) AS chars,
                    row_number() OVER (ORDER BY number DESC) AS place
                FROM webhook_notice WHERE uuid = ?) AS counted
            WHERE place > ? OR (place > 1 AND chars > ?))""",
        *(uuid, limit.count, limit.chars),
    )

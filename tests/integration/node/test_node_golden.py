"""The embedded node answers word for word what Meilisearch 1.50 answered."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.node.running import READY_S, RunningNode

GOLDEN = Path(__file__).parent / "golden"
MASTER_KEY = "MASTER_KEY_MASTER_KEY"
KEYED = {"keys", "task_lists"}
BINARY = os.environ.get("MIROIR_MEILISEARCH_BIN")
DATES = {"enqueuedAt", "startedAt", "finishedAt", "createdAt", "updatedAt", "lastUpdate"}
NAMED = {
    "duration", "processingTimeMs", "requestUid", "databaseSize", "usedDatabaseSize",
    "rawDocumentDbSize", "avgDocumentSize", "batchUid", "progressTrace", "commitSha",
    "commitDate", "taskUid", "queryUid",
}  # fmt: skip
MEASURED = {"progressTrace", "writeChannelCongestion", "internalDatabaseSizes"}


def normal(value: Any, key: str | None = None) -> Any:
    """Return an answer with everything that differs from run to run replaced by its name."""
    if key in MEASURED:
        return f"[{key}]"
    if isinstance(value, dict):
        shown = {name: normal(member, name) for name, member in value.items()}
        if str(shown.get("name")).startswith("Default") and "key" in shown:
            shown["uid"] = shown["key"] = "?"
        return shown
    if isinstance(value, list):
        return [normal(item, key) for item in value]
    if key in DATES and isinstance(value, str):
        return "[date]"
    return f"[{key}]" if key in NAMED and value is not None else value


def replay(name: str, ask: Callable[[dict[str, Any]], httpx.Response], end: Callable[[int], Any]):
    """Send a dialogue and compare every answer; order of keys included."""
    lines = (GOLDEN / f"{name}.jsonl").read_text().splitlines()
    assert lines
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        answer = ask(row)
        body: Any = None
        if answer.content:
            body = answer.json()
        task = None
        if isinstance(body, dict) and "taskUid" in body:
            task = end(body["taskUid"])
        if "status" not in row:
            continue
        where = f"{name}.jsonl:{number} {row['method']} {row['path']}"
        seen = json.dumps([answer.status_code, normal(body) or ""])
        assert seen == json.dumps([row["status"], row["answer"] or ""]), where
        if "task" in row:
            ended = {key: task[key] for key in row["task"]}
            assert json.dumps(ended) == json.dumps(row["task"]), where


def options_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return how to send a row's request."""
    options: dict[str, Any] = {"headers": row.get("headers", {})}
    if "raw" in row:
        options["content"] = row["raw"].encode()
    if "body" in row:
        options["body"] = row["body"]
    if "key" in row:
        options["key"] = row["key"]
    return options


NAMES = [
    "indexes_documents_tasks", "settings", "keys", "federation", "foreign_keys", "hybrid",
    "vectors", "shapes", "render",
    "webhooks_fields", "network", "foreign_errors", "patterns",
    "task_lists", "vector_filters", "composite", "no_time", "bodies_first",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_embedded_node_agrees_with_the_recorded_binary(start, name: str):
    """Miroir is tested on this node: where it lies, the tests of Miroir lie."""
    with start(master_key=MASTER_KEY if name in KEYED else None) as node:
        replay(
            name,
            lambda row: node.ask(row["method"], row["path"], **options_of(row)),
            node.ended,
        )


class Binary(RunningNode):
    """A real Meilisearch in the place of an embedded node."""

    def __init__(self, folder: Path, master_key: str | None) -> None:
        assert BINARY is not None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        key = ["--master-key", master_key] if master_key else []
        folder.mkdir(parents=True)
        self.key = master_key
        self.process = subprocess.Popen(
            [
                *(BINARY, "--db-path", str(folder / "data"), "--http-addr", address),
                *("--no-analytics", *key),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        # It closes a connection after some errors, in a race with the next request on it.
        close = {"Connection": "close"}
        self.client = httpx.Client(base_url=f"http://{address}", timeout=READY_S, headers=close)
        deadline = time.monotonic() + READY_S
        while True:
            try:
                self.client.get("/health")
                return
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.02)


@pytest.fixture(params=NAMES)
def binary(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Binary]]:
    """A real binary for one dialogue."""
    key = MASTER_KEY if request.param in KEYED else None
    with Binary(tmp_path / "real", key) as running:
        yield request.param, running


@pytest.mark.meilisearch
@pytest.mark.skipif(BINARY is None, reason="MIROIR_MEILISEARCH_BIN names no binary")
def test_a_real_binary_agrees_with_its_recording(binary: tuple[str, Binary]):
    """A recording that no binary confirms is only somebody's word."""
    name, running = binary
    replay(
        name,
        lambda row: running.ask(row["method"], row["path"], **options_of(row)),
        running.ended,
    )

"""
What the embedded node takes for 30,000 documents: indexing, searching, starting, memory.

    reference: one plain pass over the same documents in this process: JSON decoded, words found
    with one regular expression, counted in a dict

Limits of the documentation (docs/reference/embedded-node.md) on a machine with nothing else to do:
5 s to index, 20 ms for a typical search, 3 s to start, 250 MB. Seconds are in the detail; what is
judged are ratios, which other machines share.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.figures import Figure

DOCUMENTS = 30_000
VOCABULARY = 60_000
SEARCHES = 200
_WORD = re.compile(r"[a-z]+")


def corpus() -> list[dict[str, object]]:
    """Return documents whose words are as common and as rare as those of a language."""
    rng = random.Random(7)
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    words = list({
        "".join(rng.choices(letters, range(26, 0, -1), k=rng.randint(3, 10)))
        for _ in range(VOCABULARY)
    })  # fmt: skip
    weights = [1 / (rank + 5) for rank in range(len(words))]
    texts = rng.choices(words, weights, k=DOCUMENTS * 24)
    return [
        {
            "id": at,
            "title": " ".join(texts[at * 24 : at * 24 + 4]),
            "overview": " ".join(texts[at * 24 + 4 : at * 24 + 24]),
            "genre": texts[at * 24][:3],
            "year": 1900 + at % 120,
        }
        for at in range(DOCUMENTS)
    ]


def plain_pass_s(payload: bytes) -> float:
    """Return the CPU seconds of the reference."""
    started = time.process_time()
    counted: Counter[str] = Counter()
    for document in json.loads(payload):
        for name in ("title", "overview"):
            counted.update(_WORD.findall(document[name]))
    assert counted, "the corpus has words"
    return time.process_time() - started


@contextmanager
def node(folder: Path) -> Iterator[tuple[httpx.Client, int, float]]:
    """Run a node; yield a client, its process id, and how long it took to answer."""
    command = [sys.executable, "-m", "miroir", "node", "--port", "0", "--db-path", str(folder)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("listening on ").strip()
        with httpx.Client(base_url=url, timeout=120) as client:
            client.get("/indexes/a").read()
            yield client, process.pid, time.monotonic() - started
    finally:
        process.terminate()
        process.wait(20)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1000


def indexed_s(client: httpx.Client, payload: bytes) -> float:
    """Send the documents; return the seconds until they can be found."""
    settings = {"filterableAttributes": ["genre", "year"], "sortableAttributes": ["year"]}
    client.patch("/indexes/a/settings", json=settings)
    started = time.monotonic()
    headers = {"Content-Type": "application/json"}
    answer = client.post("/indexes/a/documents", content=payload, headers=headers).json()
    while client.get(f"/tasks/{answer['taskUid']}").json()["status"] in ("enqueued", "processing"):
        time.sleep(0.01)
    return time.monotonic() - started


def search_s(client: httpx.Client, pid: int, documents: list[dict[str, object]]) -> float:
    """Return the CPU seconds of a typical search: one to three words, one a typo, a filter."""
    rng = random.Random(11)
    before = cpu_s(pid)
    for _ in range(SEARCHES):
        words = str(rng.choice(documents)["title"]).split()[: rng.randint(1, 3)]
        if len(words[-1]) > 5:
            words[-1] = words[-1][:3] + words[-1][4:]
        body = {"q": " ".join(words), "filter": f"year > {rng.randint(1900, 2010)}"}
        client.post("/indexes/a/search", json=body).raise_for_status()
    return (cpu_s(pid) - before) / SEARCHES


def figures() -> Iterator[Figure]:
    """Yield the four figures."""
    documents = corpus()
    payload = json.dumps(documents).encode()
    plain = min(plain_pass_s(payload) for _ in range(3))
    reference = f"one plain pass ({plain:.2f} s, {len(payload) / 1e6:.1f} MB)"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "node"
        with node(folder) as (client, pid, _):
            idle = cpu_s(pid)
            wall = indexed_s(client, payload)
            spent = cpu_s(pid) - idle
            detail = f"{wall:.1f} s, {spent:.1f} s of CPU"
            yield Figure("node: indexing 30,000 documents", spent / plain, reference, detail, 15)
            each = search_s(client, pid, documents)
            detail = f"{each * 1000:.1f} ms of CPU each"
            yield Figure("node: a typical search", each / plain, reference, detail, 0.06)
            memory = memory_mb(pid)
            ratio = memory / (len(payload) / 1e6)
            detail = f"{memory:.0f} MB resident"
            yield Figure("node: memory", ratio, "the documents as JSON", detail, 32)
        with node(folder) as (client, pid, wall):
            spent = cpu_s(pid)
            detail = f"{wall:.1f} s, {spent:.1f} s of CPU"
            yield Figure("node: starting with them", spent / plain, reference, detail, 15)

"""
Judges how a run ended: everything at rest and proved, every node with the right settings and data.

What a node has is the node's own word; what Miroir says of it has to agree.
"""

from collections import defaultdict
from collections.abc import Iterator

from miroir.core.routing import shard_of, slot_table
from tests.soak import markers
from tests.soak.book import Book
from tests.soak.history import (
    History,
    IndexesEnd,
    NodeEnd,
    Put,
    SideIndex,
    Unsettled,
)
from tests.soak.verdict import Finding

Values = set[int | None]


def judge(book: Book, history: History) -> Iterator[Finding]:
    """Yield every finding about the end."""
    for unsettled in history.of(Unsettled):
        yield Finding("rest", unsettled.what)
    ends = history.of(NodeEnd)
    for index in book.setup.indexes:
        mine = {end.node: end for end in ends if end.index == index}
        for node in book.shard_of:
            if node not in mine:
                yield Finding("rest", f"{index}: nothing is known of {node}")
        yield from _judge_settings(book, index, mine)
        puts = [put for put in history.of(Put) if put.index == index]
        yield from _judge_documents(book, possible(book, puts), mine)
    yield from _judge_side(book, history)


def _judge_settings(book: Book, index: str, ends: dict[str, NodeEnd]) -> Iterator[Finding]:
    newest = max(book.versions[index].values(), key=lambda v: v.version, default=None)
    for node, end in ends.items():
        if not end.healthy or end.state != "synced":
            yield Finding("rest", f"{index}: {node} is {end.state}, healthy: {end.healthy}")
        if newest is None:
            yield Finding("rest", f"{index} has no history")
            return
        if end.version != newest.version:
            yield Finding("rest", f"{index}: {node} is proved at {end.version} of {newest}")
        if end.marker != newest.marker:
            yield Finding("rest", f"{index}: {node} shows the marker {end.marker}, not {newest}")
        if end.markers != markers.PLACES * markers.BASE:
            yield Finding("documents", f"{index}: {node} has {end.markers} documents of markers")


def possible(book: Book, puts: list[Put]) -> dict[int, Values]:
    """Return the values that each id may have in the end; None: it is not there."""
    found: dict[int, Values] = defaultdict(lambda: {None})
    for put in sorted(puts, key=lambda put: put.sent_s):
        for number in put.ids:
            found[number] = _after(book, put, found[number])
    return found


def _after(book: Book, put: Put, before: Values) -> Values:
    status = book.status(put.task)
    if put.status == 202 and status == "succeeded":
        return {put.value}
    refused = put.status is not None and put.status < 500 and put.status != 202
    if refused or status in {"failed", "canceled"}:
        return before
    return before | {put.value}


def _judge_documents(
    book: Book, wanted: dict[int, Values], ends: dict[str, NodeEnd]
) -> Iterator[Finding]:
    table = slot_table(len(book.setup.columns))
    homes = {number: int(shard_of(str(number), table)) for number in wanted}
    for shard, column in enumerate(book.setup.columns):
        for node in column:
            if node not in ends:
                continue
            has = ends[node].documents
            for number, home in homes.items():
                value = has.get(str(number))
                if home != shard and value is not None:
                    yield Finding("documents", f"{node} has {number}, which is of shard {home}")
                if home == shard and value not in wanted[number]:
                    yield Finding(
                        "documents",
                        f"{ends[node].index}: {node} has {value} for {number}, not one of "
                        f"{wanted[number]}",
                    )
        copies = {node: ends[node].documents for node in column if node in ends}
        if any(copy != copies[min(copies)] for copy in copies.values()):
            yield Finding("documents", f"the replicas {sorted(copies)} differ")


def _judge_side(book: Book, history: History) -> Iterator[Finding]:
    requests = sorted(history.of(SideIndex), key=lambda side: side.sent_s)
    wanted: dict[str, set[bool]] = {uid: {True} for uid in book.setup.indexes}
    for side in requests:
        before = wanted.get(side.index, {False})
        status = book.status(side.task)
        if side.status == 202 and status == "succeeded":
            wanted[side.index] = {side.made}
        elif side.status in {None, 202} or (side.status or 0) >= 500:
            nothing = status in {"failed", "canceled"}
            wanted[side.index] = before if nothing else before | {side.made}
    nodes = history.of(IndexesEnd)
    for index, there in wanted.items():
        having = {end.node for end in nodes if index in end.indexes}
        if (having and having != {end.node for end in nodes}) or bool(having) not in there:
            yield Finding("indexes", f"{index} is on {sorted(having)}; there: {there}")
    for end in nodes:
        for index in set(end.indexes) - wanted.keys():
            yield Finding("indexes", f"nobody asked for {index} on {end.node}")

"""
What must hold between the keys of `topology`, and how the short form becomes the long one.

    long    nodes: [{name: a, url: "http://h:7701", shard: 0, replica_group: 0}, ...]
    short   nodes: ["http://h:7701", ...]     filled group by group: n0 is shard 0 of group 0,
                                              n1 shard 1 of group 0, ...

Pure functions over plain values; every fault of the grid is found, not only the first.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from miroir.config.faults import Fault

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL_REMEDY: Final = "write it as http://host:port"


class Place(Protocol):
    """A node of the configuration."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def shard(self) -> int: ...  # noqa: D102
    @property
    def replica_group(self) -> int: ...  # noqa: D102


def long_form(values: dict[str, Any]) -> dict[str, Any]:
    """Return the section with each node as a mapping with a name and, if none has one, a place."""
    nodes, shards = values.get("nodes"), values.get("shards", 1)
    if not isinstance(nodes, list):
        return values
    entries = [_entry(position, node) for position, node in enumerate(nodes)]
    mappings = [entry for entry in entries if isinstance(entry, dict)]
    placed = any({"shard", "replica_group"} & entry.keys() for entry in mappings)
    if not placed and isinstance(shards, int) and shards > 0:
        entries = [
            {**entry, "shard": position % shards, "replica_group": position // shards}
            if isinstance(entry, dict)
            else entry
            for position, entry in enumerate(entries)
        ]
    return {**values, "nodes": entries}


def _entry(position: int, node: object) -> object:
    if isinstance(node, str):
        return {"name": f"n{position}", "url": node}
    if isinstance(node, dict):
        return {"name": f"n{position}", **node}
    return node  # the model will say what is wrong with it


def normal_url(text: str) -> str:
    """
    Return `scheme://host:port`.

    Raises:
        ValueError: It is no URL of a node; the message says what is wrong and what to write.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL; {_URL_REMEDY}") from error
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError(f"is not a URL; {_URL_REMEDY}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"must hold no user or password; {_URL_REMEDY} and set master_key")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"must end after the port; {_URL_REMEDY}")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or _DEFAULT_PORTS[parts.scheme]}"


def grid_faults(shards: int, groups: int, nodes: Sequence[Place]) -> Iterator[Fault]:
    """Yield what keeps these nodes from filling each place of the grid exactly once."""
    yield from _twice("name", [node.name for node in nodes])
    yield from _twice("url", [node.url for node in nodes])
    if len(nodes) != shards * groups:
        yield Fault(("nodes",), _wrong_count(shards, groups, len(nodes)))
        return
    for position, node in enumerate(nodes):
        if node.shard >= shards:
            said = f"`{node.shard}` is no shard; use 0 to {shards - 1}, or raise topology.shards"
            yield Fault(("nodes", position, "shard"), said)
        if node.replica_group >= groups:
            said = f"`{node.replica_group}` is no replica group; use 0 to {groups - 1}"
            yield Fault(("nodes", position, "replica_group"), said)
    places = Counter((node.shard, node.replica_group) for node in nodes)
    free = [(s, g) for g in range(groups) for s in range(shards) if (s, g) not in places]
    for position, node in enumerate(nodes):
        place = (node.shard, node.replica_group)
        if places[place] > 1 and free:
            said = f"{_place(place)} is taken by another node; {_place(free[0])} is free"
            yield Fault(("nodes", position), said)
            places[place] -= 1
            free.pop(0)


def _twice(key: str, values: Sequence[str]) -> Iterator[Fault]:
    for position, value in enumerate(values):
        if value in values[:position]:
            first = values.index(value)
            said = f"`{value}` is also nodes[{first}]; each node needs its own {key}"
            yield Fault(("nodes", position, key), said)


def _wrong_count(shards: int, groups: int, count: int) -> str:
    wanted = shards * groups
    text = f"has {count} nodes, but shards: {shards} and replica_groups: {groups} need {wanted}"
    if (shards, groups) == (1, 1):
        return f"{text}; set shards: {count} to divide or replica_groups: {count} to copy the data"
    what = "add" if count < wanted else "remove"
    return f"{text}; {what} {abs(wanted - count)}, or change shards or replica_groups"


def _place(place: tuple[int, int]) -> str:
    return f"shard {place[0]} of replica group {place[1]}"

"""
`miroir status`: nodes and indexes at a glance, from `GET /_miroir/topology`.

One table of nodes; one of indexes with a cell for each node: the version that it is proved to
serve, or why it serves none. Exit status 0 when all is well, 1 when something is not, so that a
script can ask. The picture is a pure function of the answer.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from miroir.cli.faults import UsageFault
from miroir.cli.screen import screen
from miroir.cli.settings.connect import URL, Key, Url, connect
from miroir.cli.settings.proxy import ProxyTarget

_NODES_PER_TABLE: Final = 8
_FINGERPRINT_CHARS: Final = 8
_STATES: Final[Mapping[str, tuple[str, str, str]]] = {
    # state: mark, colour, meaning
    "synced": ("", "green", "proved at this version"),
    "unproved": ("?", "yellow", "not proved at any version; not used while others can answer"),
    "behind": ("<", "yellow", "proved at an older version; about to follow"),
    "out_of_sync": ("…", "yellow", "has missed writes; used again when it has caught up"),
    "down": ("✗", "red", "does not answer"),
}


def status(
    url: Url = URL,
    key: Key = None,
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="Form of the answer.")
    ] = "table",
) -> None:
    """
    Show nodes and indexes with their settings versions.

    Exit status 0: all is well; 1: something is not. (`miroir settings status` has a line for each
    index, and can be asked of one plain Meilisearch, too.)

    For example:

        miroir status

        miroir status --url http://search:7700 --key env:MIROIR_ADMIN_KEY -o json
    """
    target = connect(url, key)
    if not isinstance(target, ProxyTarget):
        raise UsageFault(
            f"{target.url} is one plain Meilisearch and no cluster; its settings: miroir settings "
            "status"
        )
    answer = target.topology()
    out = screen()
    if output == "json":
        typer.echo(json.dumps(answer, indent=2))
    else:
        out.print(picture(answer, out))
    raise typer.Exit(0 if all_is_well(answer) else 1)


def all_is_well(answer: Mapping[str, Any]) -> bool:
    """Whether every node is up and serves the committed settings of every index."""
    nodes = answer["topology"]["nodes"]
    return all(node["healthy"] for node in nodes) and not any(
        index["frozen"] or any(cell["state"] != "synced" for cell in index["nodes"].values())
        for index in answer["indexes"]
    )


def picture(answer: Mapping[str, Any], out: Console) -> RenderableType:
    """Return what to print."""
    topology, indexes = answer["topology"], answer["indexes"]
    parts: list[RenderableType] = [
        f"{topology['shards']} x {topology['replicaGroups']} (shards x replica groups), "
        f"epoch {topology['epoch']}\n",
        _nodes(topology["nodes"]),
        "",
    ]
    if not indexes:
        parts.append("no index yet")
        return Group(*parts)
    names = [node["id"] for node in topology["nodes"]]
    per_table = _NODES_PER_TABLE if out.width < 120 else 2 * _NODES_PER_TABLE
    for start in range(0, len(names), per_table):
        parts += [_indexes(indexes, names[start : start + per_table]), ""]
    parts += [*_legend(indexes), *_frozen(indexes)]
    parts.append(Text("all is well", "green") if all_is_well(answer) else _summary(answer))
    return Group(*parts)


def _nodes(nodes: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("NODE", "SHARD", "GROUP", "STATE", "ENGINE", "URL"):
        table.add_column(title, justify="right" if title in {"SHARD", "GROUP"} else "left")
    for node in sorted(nodes, key=lambda node: (node["replicaGroup"], node["shard"])):
        state = Text("up", "green") if node["healthy"] else Text("down", "bold red")
        engine = (node.get("engine") or "-") + (" embedded" if node.get("embedded") else "")
        table.add_row(
            node["id"],
            str(node["shard"]),
            str(node["replicaGroup"]),
            state,
            engine,
            Text(node["url"], overflow="fold"),
        )
    return table


def _indexes(indexes: list[Mapping[str, Any]], names: list[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("INDEX", overflow="fold", min_width=8)
    table.add_column("SETTINGS", justify="right", no_wrap=True)
    table.add_column("PHASE", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for index in indexes:
        fingerprint = (index.get("fingerprint") or "")[:_FINGERPRINT_CHARS]
        phase = Text("frozen", "bold red") if index["frozen"] else Text(index["phase"])
        cells = (_cell(index["nodes"].get(name)) for name in names)
        version = Text(f"v{index['version']}").append(f" {fingerprint}", "dim")
        table.add_row(index["uid"], version, phase, *cells)
    return table


def _cell(cell: Mapping[str, Any] | None) -> Text:
    if cell is None:
        return Text("-", "dim")
    mark, colour, _ = _STATES.get(cell["state"], (cell["state"], "yellow", ""))
    version = "" if cell.get("version") is None else f"v{cell['version']}"
    return Text(f"{version}{mark}" or "-", colour)


def _legend(indexes: list[Mapping[str, Any]]) -> Iterator[Text]:
    """Explain the marks that are on the screen, and no others."""
    shown = {cell["state"] for index in indexes for cell in index["nodes"].values()}
    for state, (mark, colour, meaning) in _STATES.items():
        if mark and state in shown:
            yield Text(f"{mark} ", colour).append(meaning, "default")


def _frozen(indexes: list[Mapping[str, Any]]) -> Iterator[Text]:
    for index in indexes:
        if index["frozen"]:
            yield Text(f"{index['uid']} is frozen: {index['frozen']}", "bold red")


def _summary(answer: Mapping[str, Any]) -> Text:
    down = [node["id"] for node in answer["topology"]["nodes"] if not node["healthy"]]
    unwell = [
        index["uid"]
        for index in answer["indexes"]
        if index["frozen"] or any(cell["state"] != "synced" for cell in index["nodes"].values())
    ]
    said = [f"down: {', '.join(down)}"] * bool(down)
    said += [f"not served by every node: {', '.join(unwell)}"] * bool(unwell)
    return Text("; ".join(said), "bold yellow")

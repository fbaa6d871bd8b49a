"""
`miroir dev`: a cluster on this machine, to develop against.

Starts the nodes and Miroir as processes, shows where they are, reports any that ends, and stops
everything on Ctrl-C. With --data-dir the next start goes on from the same data, else all is
removed at the end. What the cluster is made of: cluster.py and layout.py.
"""

import os
import select
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from miroir import __version__
from miroir.cli.cluster import LocalCluster
from miroir.cli.layout import Shape, find_engine, lay_out
from miroir.cli.screen import screen
from miroir.cli.signals import Stop, stop_on_signals

_PORT: Final = 7700
_LOOK_S: Final = 0.25


def dev(
    shards: Annotated[int, typer.Option(min=1, max=64, help="Parts of the data.")] = 3,
    replica_groups: Annotated[int, typer.Option(min=1, max=64, help="Copies of the data.")] = 2,
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help=f"Miroir's port; default: as last time, else {_PORT}.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep everything here; default: a folder removed at the end."),
    ] = None,
    master_key: Annotated[
        str | None, typer.Option(envvar="MIROIR_MASTER_KEY", help="Default: made at random.")
    ] = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Run embedded nodes even if Meilisearch is there.")
    ] = False,
) -> None:
    """Run a whole cluster on this machine; Ctrl-C stops it."""
    out = screen()
    engine = find_engine(os.environ, embedded=embedded)
    with tempfile.TemporaryDirectory(prefix="miroir-dev-") as temporary:
        folder = data_dir or Path(temporary) / "cluster"
        if port is None:
            port = 0 if (folder / "cluster.json").exists() else _PORT
        layout = lay_out(
            folder, Shape(shards, replica_groups), engine, port=port, master_key=master_key
        )
        cluster = LocalCluster(layout)
        _run(cluster, out, kept=data_dir is not None)


def _run(cluster: LocalCluster, out: Console, *, kept: bool) -> None:
    status = 0
    with stop_on_signals():
        began_s = time.monotonic()
        try:
            out.print(f"miroir {__version__}: starting {cluster.layout.shape} ...")
            cluster.start()
            _introduce(cluster, out, kept=kept, took_s=time.monotonic() - began_s)
            status = _watch(cluster, out)
        except Stop:
            out.print("stopping ...")
        finally:
            cluster.stop()
    out.print("stopped" + (f"; the data stays in {cluster.layout.folder}" if kept else ""))
    raise typer.Exit(status)


def _introduce(cluster: LocalCluster, out: Console, *, kept: bool, took_s: float) -> None:
    layout = cluster.layout
    out.print(
        f"up in {took_s:.1f} s; nodes run {layout.engine}, version {cluster.engine_version}\n"
    )
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("[bold]miroir[/]", f"[bold]{cluster.url}[/]", "use this one")
    for position, node in enumerate(cluster.nodes.values()):
        group, shard = divmod(position, layout.shape.shards)
        table.add_row(node.name, node.url, f"shard {shard}, replica group {group}")
    table.add_row()
    table.add_row("master key", layout.master_key.reveal(), "opens the API, here and on nodes")
    table.add_row("admin key", layout.admin_key.reveal(), "opens /_miroir/*")
    out.print(table)
    folder = "" if kept else "  (removed at the end)"
    out.print(f"\ndata and logs  {layout.folder}{folder}", soft_wrap=True)
    key_file = layout.folder / "admin.key"
    look = f"MIROIR_ADMIN_KEY=$(cat {key_file}) miroir status --url {cluster.url}"
    out.print(f"look at it     {look}", soft_wrap=True)
    out.print("stop it        Ctrl-C\n")


def _watch(cluster: LocalCluster, out: Console) -> int:
    """Report processes that end, until Miroir itself does; return the exit status."""
    reported: set[str] = set()
    while cluster.miroir.running:
        for node in cluster.nodes.values():
            if node.running:
                reported.discard(node.name)
            elif node.name not in reported:
                reported.add(node.name)
                again = "; press Enter to start it again" if sys.stdin.isatty() else ""
                out.print(
                    f"[red]{node.name} {node.ended}[/] ({node.command.log}){again}", soft_wrap=True
                )
        if _enter_pressed():
            for name in sorted(reported):
                out.print(f"starting {name}")
                cluster.nodes[name].start()
    out.print(f"[red]miroir {cluster.miroir.ended}[/]{cluster.miroir.log_tail()}", soft_wrap=True)
    return 1


def _enter_pressed() -> bool:
    if not sys.stdin.isatty():
        time.sleep(_LOOK_S)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], _LOOK_S)
    return bool(ready) and sys.stdin.readline() == "\n"

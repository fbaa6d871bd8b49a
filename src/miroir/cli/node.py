"""`miroir node`: run the embedded, Meilisearch-compatible node; `miroir node list`: see nodes."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from miroir.cli.faults import UsageFault
from miroir.cli.settings.connect import URL, Key, Url, connect
from miroir.cli.settings.documents import NodeForm, NodesDocument
from miroir.cli.settings.forms import server
from miroir.cli.settings.output import Outlet, Output
from miroir.node.server import NodeOptions, NotLoopbackError, serve

node: Final = typer.Typer(add_completion=False, invoke_without_command=True)


@node.callback()
def run(  # noqa: PLR0913, PLR0917 - its options
    context: typer.Context,
    db_path: Annotated[
        Path | None, typer.Option(help="Directory of the node's database; has to be given.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 7701,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    master_key: Annotated[
        str | None,
        typer.Option(
            help="Master key; MIROIR_NODE_MASTER_KEY or MEILI_MASTER_KEY when not given."
        ),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Obey POST /_faults.")] = False,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Permit an address other than loopback.")
    ] = False,
    quirks: Annotated[
        bool,
        typer.Option("--quirks", help="Rank by other documents too where Meilisearch does."),
    ] = False,
) -> None:
    """Run the embedded node: a Meilisearch-compatible server for development and tests."""
    if context.invoked_subcommand is not None:
        return
    if db_path is None:
        raise UsageFault("say where the node's database is: --db-path DIR")
    key = master_key or os.environ.get("MIROIR_NODE_MASTER_KEY")
    key = key or os.environ.get("MEILI_MASTER_KEY")
    options = NodeOptions(db_path, host, port, key or None, faults, allow_remote, quirks)
    try:
        serve(options)
    except (NotLoopbackError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


@node.command("list")
def list_(url: Url = URL, key: Key = None, output: Output = "table") -> None:
    """
    List the nodes of a cluster, and whether they answer.

    Exit status 0: all do; 1: not.

    For example:

        miroir node list

        miroir node list -o json
    """
    target = connect(url, key)
    document = NodesDocument(
        server=server(target),
        nodes=[
            NodeForm(name=n.name, url=n.url, healthy=n.healthy, engine=n.engine, where=n.where)
            for n in target.nodes()
        ],
    )
    Outlet(output).answer(document, _picture(document))
    raise typer.Exit(0 if all(each.healthy for each in document.nodes) else 1)


def _picture(document: NodesDocument) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("NODE", "STATE", "ENGINE", "PLACE", "URL"):
        table.add_column(title, overflow="fold")
    for each in document.nodes:
        state = Text("up", "green") if each.healthy else Text("down", "bold red")
        table.add_row(each.name, state, each.engine or "-", each.where or "-", each.url)
    return table

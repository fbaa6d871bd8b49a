"""`miroir node`: run the embedded, Meilisearch-compatible node."""

import os
from pathlib import Path
from typing import Annotated

import typer

from miroir.node.server import NodeOptions, NotLoopbackError, serve


def node(
    db_path: Annotated[Path, typer.Option(help="Directory of the node's database.")],
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
) -> None:
    """Run the embedded node: a Meilisearch-compatible server for development and tests."""
    key = master_key or os.environ.get("MIROIR_NODE_MASTER_KEY")
    key = key or os.environ.get("MEILI_MASTER_KEY")
    options = NodeOptions(db_path, host, port, key or None, faults, allow_remote)
    try:
        serve(options)
    except (NotLoopbackError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error

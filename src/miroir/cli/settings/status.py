"""`miroir settings status` and `watch`: where each index stands, and what is under way."""

import time
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live as LivePicture
from rich.table import Table
from rich.text import Text

from miroir.cli.settings.connect import URL, ApiKey, Key, Url, connect
from miroir.cli.settings.documents import StatusDocument
from miroir.cli.settings.durations import moment
from miroir.cli.settings.follow import running_picture
from miroir.cli.settings.forms import running_form, server, status_form
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.target import Live, Running, Target

_POLL_S: Final = 0.5
_FINGERPRINT: Final = 8


def status(
    url: Url = URL, key: Key = None, api_key: ApiKey = None, output: Output = "table"
) -> None:
    """
    Show where the settings of each index stand: version, nodes, changes under way.

    Exit status 0: every node serves the settings in force; 1: not. (`miroir status` shows the
    nodes of a cluster as well.)

    For example:

        miroir settings status

        miroir settings status --url http://search:7700 --key env:MEILI_KEY -o json
    """
    target = connect(url, key, api_key)
    lives = [target.live(index) for index in target.indexes()]
    running = target.running()
    document = _document(target, lives, running)
    Outlet(output).answer(document, _picture(lives, running))
    raise typer.Exit(0 if document.well else 1)


def watch(
    url: Url = URL,
    key: Key = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, do not stay.")] = False,
    output: Output = "table",
) -> None:
    """
    Watch changes of settings that are under way, node by node, until Ctrl-C.

    For example:

        miroir settings watch

        miroir settings watch --once -o json
    """
    target, outlet = connect(url, key), Outlet(output)
    if once or outlet.machine:
        running = target.running()
        outlet.answer(_document(target, [], running), running_picture(running))
        return
    try:
        with LivePicture(console=outlet.console, refresh_per_second=4) as picture:
            while True:
                picture.update(running_picture(target.running()))
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return  # How one leaves it.


def _document(target: Target, lives: list[Live], running: tuple[Running, ...]) -> StatusDocument:
    return StatusDocument(
        server=server(target),
        well=all(map(_well, lives)),
        indexes=[status_form(live) for live in lives],
        running=[running_form(each) for each in running],
    )


def _well(live: Live) -> bool:
    return live.frozen is None and all(c["state"] == "synced" for c in live.cells.values())


def _picture(lives: list[Live], running: tuple[Running, ...]) -> RenderableType:
    if not lives:
        return Text("no index yet")
    versioned = any(live.version is not None for live in lives)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("INDEX", overflow="fold", min_width=8)
    table.add_column("SETTINGS", no_wrap=True)
    table.add_column("DOCUMENTS", justify="right", no_wrap=True)
    if versioned:
        table.add_column("NODES", no_wrap=True)
    table.add_column("NOW", overflow="fold")
    for live in lives:
        version = "" if live.version is None else f"v{live.version} "
        settings = Text(version).append(live.fingerprint[:_FINGERPRINT], "dim")
        documents = "?" if live.documents is None else f"{live.documents:,}"
        cells = [_nodes(live)] if versioned else []
        table.add_row(live.index, settings, documents, *cells, _now(live))
    parts: list[RenderableType] = [table]
    if running:
        parts += [Text(), running_picture(running)]
    return Group(*parts)


def _nodes(live: Live) -> Text:
    synced = sum(cell["state"] == "synced" for cell in live.cells.values())
    whole = synced == len(live.cells)
    return Text(f"{synced}/{len(live.cells)}", "green" if whole else "yellow")


def _now(live: Live) -> Text:
    if live.frozen:
        return Text(f"frozen: {live.frozen}; miroir settings thaw {live.index}", "bold red")
    if live.unconfirmed:
        until = moment(live.unconfirmed.get("until"))
        said = f"undoes itself at {until}; miroir settings confirm {live.index}"
        return Text(said, "yellow")
    if live.busy:
        return Text("; ".join(live.busy), "yellow")
    astray = [f"{n} {c['state']}" for n, c in live.cells.items() if c["state"] != "synced"]
    if astray:
        return Text(f"{', '.join(astray)}; see: miroir doctor", "yellow")
    return Text("at rest", "green")

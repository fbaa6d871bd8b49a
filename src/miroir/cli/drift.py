"""
`miroir drift`: nodes that somebody has changed behind Miroir's back, and what to do about them.

Only a cluster can drift; what one plain Meilisearch differs from are files (`miroir settings
diff`). Orders go to Miroir; nothing is sent to a node from here, `explain` reads one.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from miroir.cli.admin_client import AdminClient, Refused
from miroir.cli.faults import UsageFault
from miroir.cli.settings.connect import URL, Key, Url, connect, look_up
from miroir.cli.settings.diff import compared
from miroir.cli.settings.documents import DriftDocument, DriftForm
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.picture import differences_picture
from miroir.cli.settings.proxy import ProxyTarget

drift: Final = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Index = Annotated[str, typer.Argument(help="Name of the index.")]


@drift.callback()
def _drift() -> None:
    """Find, explain and mend what was changed behind Miroir's back."""


@drift.command("list")
def list_(url: Url = URL, key: Key = None, output: Output = "table") -> None:
    """
    List nodes that stray, and indexes that nobody manages.

    Exit status 0: none; 1: some.

    For example:

        miroir drift list

        miroir drift list -o json
    """
    found = _miroir(url, key).drift()
    document = _document(found)
    Outlet(output).answer(document, _list(document))
    raise typer.Exit(1 if document.results else 0)


@drift.command()
def explain(
    index: Index,
    url: Url = URL,
    key: Key = None,
    node_key: Annotated[
        str,
        typer.Option(metavar="REF", help="Opens the nodes, to read what they show."),
    ] = "env:MIROIR_MASTER_KEY",
    output: Output = "table",
) -> None:
    """
    Show what each straying node has, against what it should have, and what Miroir does about it.

    For example:

        miroir drift explain movies

        miroir drift explain movies --node-key file:/run/secrets/master
    """
    target = _miroir(url, key)
    document = _document(target.drift(), index)
    wanted = target.live(index).settings
    if wanted is None:
        raise UsageFault(f"there is no index `{index}`; see them with `miroir settings status`")
    urls = {node.name: node.url for node in target.nodes()}
    parts: list[RenderableType] = [_list(document)]
    for row in document.results:
        parts += [Text(), *_explained(row, wanted, urls[row.node], look_up(node_key))]
    Outlet(output).answer(document, Group(*parts))


@drift.command()
def repair(index: Index, url: Url = URL, key: Key = None) -> None:
    """
    Bring straying nodes of an index back now, also where Miroir has given up or only alerts.

    For example:

        miroir drift repair movies
    """
    _miroir(url, key).repair(index)
    typer.echo(f"{index} is being repaired; see it with `miroir settings watch`")


@drift.command()
def adopt(
    index: Index,
    node: Annotated[
        str | None,
        typer.Option(help="Want what this node shows. Without: take over an unmanaged index."),
    ] = None,
    url: Url = URL,
    key: Key = None,
) -> None:
    """
    Keep what somebody has done: it becomes the settings of every node, as a new version.

    For example:

        miroir drift adopt movies --node n2

        miroir drift adopt found-on-the-nodes
    """
    _miroir(url, key).adopt(index, node)
    typer.echo(f"{index} is being adopted; see it with `miroir settings history {index}`")


@drift.command()
def ignore(
    index: Index,
    mode: Annotated[str, typer.Option(help="`alert`: report only; `off`: do not look.")] = "alert",
    url: Url = URL,
    key: Key = None,
) -> None:
    """
    Tell how to leave foreign changes of an index alone; modes are part of Miroir's configuration.

    For example:

        miroir drift ignore movies --mode off
    """
    if mode not in {"alert", "off"}:
        raise UsageFault(f"--mode `{mode}` is none; write alert or off")
    modes = _miroir(url, key).drift()["modes"]
    if index not in modes:
        have = ", ".join(sorted(modes)) or "none"
        raise UsageFault(f"there is no index `{index}`; there are: {have}")
    if modes[index] == mode:
        typer.echo(f"the mode of {index} is {mode} already")
        return
    typer.echo(
        f"the mode of {index} is {modes[index]}; for another, write this to miroir.yaml and start "
        f"Miroir again:\n\nsettings_drift_check:\n  modes:\n    {index}: {mode}"
    )


def _miroir(url: str, key: str | None) -> ProxyTarget:
    target = connect(url, key)
    if not isinstance(target, ProxyTarget):
        raise UsageFault(
            f"{target.url} is one plain Meilisearch, which cannot drift from others; compare it "
            "with your files: miroir settings diff DIR"
        )
    return target


def _document(found: Mapping[str, Any], index: str | None = None) -> DriftDocument:
    return DriftDocument(
        results=[_form(row) for row in found["results"] if index in (None, row["index"])],
        modes={uid: m for uid, m in found["modes"].items() if index in (None, uid)},
        unmanaged=found["unmanaged"] if index is None else [],
    )


def _form(row: Mapping[str, Any]) -> DriftForm:
    return DriftForm(
        index=row["index"],
        node=row["node"],
        state=row["state"],
        faults=list(row["faults"]),
        mode=row["mode"],
        breaker=row["breaker"],
        action=row["action"],
        why=row["why"],
        first_seen_at=row["firstSeenAt"],
        last_seen_at=row["lastSeenAt"],
    )


def _list(document: DriftDocument) -> RenderableType:
    parts: list[RenderableType] = []
    if document.results:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("INDEX", "NODE", "STATE", "WHAT", "SINCE", "MIROIR WILL"):
            table.add_column(title, overflow="fold")
        for row in document.results:
            will = row.action + (f": {row.why}" if row.why else "")
            since = (row.first_seen_at or "").replace("T", " ")[:19]
            will += " (breaker open)" if row.breaker == "open" else ""
            state = Text(row.state, "red" if row.state != "suspected" else "yellow")
            table.add_row(row.index, row.node, state, ", ".join(row.faults), since, will)
        parts += [table, Text("next: miroir drift explain INDEX, repair INDEX, or adopt INDEX")]
    else:
        parts.append(Text("no node strays", "green"))
    for each in document.unmanaged:
        said = f"{each['index']} is not managed: {each['why']}; miroir drift adopt {each['index']}"
        parts.append(Text(said, "yellow"))
    return Group(*parts)


def _explained(
    row: DriftForm, wanted: Mapping[str, Any], url: str, key: str | None
) -> Iterator[RenderableType]:
    try:
        seen = AdminClient(url, key).get(f"/indexes/{row.index}/settings")
    except Refused as refused:
        said = f"{row.node} does not show its settings ({refused}); give a key: --node-key REF"
        yield Text(said, "yellow")
        return
    changes = compared(row.index, wanted, seen)
    if changes:
        yield differences_picture(f"{row.index}: committed → {row.node}", changes)
    else:
        yield Text(f"{row.node} shows what was committed; what differs is behind a mask, or gone")

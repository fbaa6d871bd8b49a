"""
`miroir drift`: nodes that somebody has changed behind Miroir's back, and what to do about them.

Only a cluster can drift; what one plain Meilisearch differs from are files (`miroir settings
diff`). Orders go to Miroir; nothing is sent to a node from here, `explain` reads one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from miroir.cli.admin_client import AdminClient, NoAnswer, Refused
from miroir.cli.drift_picture import drift_picture, rule_picture
from miroir.cli.faults import UsageFault
from miroir.cli.settings.apply import Reason
from miroir.cli.settings.connect import URL, Key, Url, caller, connect, look_up
from miroir.cli.settings.diff import compared
from miroir.cli.settings.documents import (
    DifferenceForm,
    DoneDocument,
    DriftDocument,
    DriftForm,
    DriftRuleForm,
)
from miroir.cli.settings.forms import change_form, server
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.picture import differences_picture
from miroir.cli.settings.proxy import ProxyTarget

drift: Final = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")
Order = dict[str, Any]
Index = Annotated[str, typer.Argument(help="Name of the index.")]
Keys = Annotated[
    list[str] | None,
    typer.Argument(help="Settings whose foreign values are left alone. Without: all, by mode."),
]
Ordered = Annotated[
    Literal["repair", "alert", "adopt", "off"] | None,
    typer.Option(
        help="alert: only report; off: do not look. Without keys: alert.", show_default=False
    ),
]
Stop = Annotated[
    bool, typer.Option("--stop", help="Ignore these keys no longer; without keys: as configured.")
]


@drift.callback()
def _drift() -> None:
    """Find, explain and mend what was changed behind Miroir's back."""


@drift.command("list")
def list_(url: Url = URL, key: Key = None, output: Output = "table") -> None:
    """
    List nodes that stray, and indexes that nobody manages.

    Exit status 0: none; 1: some. What is to be ignored is listed, and is none.

    For example:

        miroir drift list

        miroir drift list -o json
    """
    found = _miroir(url, key).drift()
    document = _document(found)
    Outlet(output).answer(document, drift_picture(document))
    raise typer.Exit(0 if all(row.state == "ignored" for row in document.results) else 1)


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
    parts: list[RenderableType] = [drift_picture(document)]
    for row in document.results:
        form, picture = _explained(row, wanted, urls[row.node], look_up(node_key))
        document.differences += [form] if form else []
        parts += [Text(), picture]
    Outlet(output).answer(document, Group(*parts))


@drift.command()
def repair(index: Index, url: Url = URL, key: Key = None, output: Output = "table") -> None:
    """
    Bring straying nodes of an index back now, also where Miroir has given up or only alerts.

    For example:

        miroir drift repair movies
    """
    target = _miroir(url, key)
    target.repair(index)
    document = DoneDocument(server=server(target), index=index, done="repair ordered")
    said = Text(f"{index} is being repaired; see it with `miroir settings watch`")
    Outlet(output).answer(document, said)


@drift.command()
def adopt(
    index: Index,
    node: Annotated[
        str | None,
        typer.Option(help="Want what this node shows. Without: take over an unmanaged index."),
    ] = None,
    url: Url = URL,
    key: Key = None,
    output: Output = "table",
) -> None:
    """
    Keep what somebody has done: it becomes the settings of every node, as a new version.

    For example:

        miroir drift adopt movies --node n2

        miroir drift adopt found-on-the-nodes
    """
    target = _miroir(url, key)
    target.adopt(index, node)
    document = DoneDocument(server=server(target), index=index, done="adoption ordered")
    said = Text(f"{index} is being adopted; see it with `miroir settings history {index}`")
    Outlet(output).answer(document, said)


@drift.command()
def ignore(  # noqa: PLR0913, PLR0917 - its options
    index: Index,
    keys: Keys = None,
    mode: Ordered = None,
    stop: Stop = False,
    url: Url = URL,
    key: Key = None,
    message: Reason = "",
    output: Output = "table",
) -> None:
    """
    Leave foreign changes of an index alone, all or those of some keys, until told otherwise.

    Holds at once and over restarts of Miroir; before the configuration. A node that differs in
    ignored keys alone goes on answering. The next change of the index made through Miroir, and
    the next repair, set these keys as well: they are left alone, not given away.

    For example:

        miroir drift ignore movies synonyms -m "the editors keep them by hand"

        miroir drift ignore movies --mode off

        miroir drift ignore movies --stop
    """
    if stop and mode is not None:
        raise UsageFault("--stop goes back to the configuration; leave --mode out")
    target, named = _miroir(url, key), set(keys or ())
    order: Order = {"by": caller(), **({"reason": message} if message else {})}
    if named:
        now = _ignored(target, index)
        order["ignoredKeys"] = sorted(now - named if stop else now | named)
    elif stop:
        order |= {"mode": None, "ignoredKeys": None}
    if mode is not None or not (named or stop):
        order["mode"] = mode or "alert"
    made = DriftRuleForm.model_validate(target.order_drift(index, order))
    document = DriftDocument(
        results=[], modes={index: made.mode}, rules=[made], orders=[made], unmanaged=[]
    )
    Outlet(output).answer(document, rule_picture(made))


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
        results=[_form(row) for row in _of(found["results"], index)],
        modes={uid: m for uid, m in found["modes"].items() if index in (None, uid)},
        rules=[DriftRuleForm.model_validate(r) for r in _of(found["rules"], index)],
        orders=[DriftRuleForm.model_validate(r) for r in _of(found["orders"], index)],
        unmanaged=found["unmanaged"] if index is None else [],
    )


def _ignored(target: ProxyTarget, index: str) -> set[str]:
    found = (rule for rule in target.drift()["rules"] if rule["index"] == index)
    return {key for rule in found for key in rule["ignoredKeys"]}


def _of(rows: list[dict[str, Any]], index: str | None) -> list[dict[str, Any]]:
    return [row for row in rows if index in (None, row["index"])]


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


def _explained(
    row: DriftForm, wanted: Mapping[str, Any], url: str, key: str | None
) -> tuple[DifferenceForm | None, RenderableType]:
    """Return how a node differs, and its picture; None if the node does not tell."""
    try:
        seen = AdminClient(url, key).get(f"/indexes/{row.index}/settings")
    except (Refused, NoAnswer) as fault:
        remedy = "give a key: --node-key REF" if isinstance(fault, Refused) else "is it up?"
        return None, Text(f"{row.node} does not show its settings ({fault}); {remedy}", "yellow")
    changes = compared(row.index, wanted, seen)
    form = DifferenceForm(
        index=row.index,
        left="committed",
        right=row.node,
        changes=[change_form(change) for change in changes],
    )
    if changes:
        return form, differences_picture(f"{row.index}: committed → {row.node}", changes)
    said = f"{row.node} shows what was committed; what differs is behind a mask, or gone"
    return form, Text(said)

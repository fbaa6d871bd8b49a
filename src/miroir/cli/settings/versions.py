"""`miroir settings history`, `show`, and ways back: `rollback`, `cancel`, `confirm`, `thaw`."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from miroir.cli.faults import UsageFault
from miroir.cli.settings.apply import Reason, Timeout, Wait, Yes
from miroir.cli.settings.applying import Wishes, ask, followed, outcome_picture
from miroir.cli.settings.connect import URL, HistoryFile, Key, Url, caller, connect
from miroir.cli.settings.diff import compared
from miroir.cli.settings.documents import (
    AppliedForm,
    ApplyDocument,
    DoneDocument,
    HistoryDocument,
)
from miroir.cli.settings.durations import duration_of, moment, seconds_of, words
from miroir.cli.settings.files import dump, quoted
from miroir.cli.settings.follow import settle
from miroir.cli.settings.forms import server, version_form
from miroir.cli.settings.output import Outlet, Output, interactive
from miroir.cli.settings.picture import Hanging, differences_picture
from miroir.cli.settings.target import Target, Version
from miroir.core.secret_places import shown

_SETTLE_S: Final = 60.0
Index = Annotated[str, typer.Argument(help="Name of the index.")]
Number = Annotated[int, typer.Argument(metavar="VERSION", min=1, help="Number of the version.")]


def history(
    index: Index,
    url: Url = URL,
    key: Key = None,
    history: HistoryFile = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many versions.")] = 20,
    output: Output = "table",
) -> None:
    """
    List the versions of an index's settings, newest first: who, when, why, what.

    For example:

        miroir settings history movies

        miroir settings history movies --history movies.ndjson --url http://search:7700
    """
    versions = connect(url, key, None, history).history(index, limit)
    document = HistoryDocument(index=index, versions=[version_form(v) for v in versions])
    Outlet(output).answer(document, _list(index, versions))


def show(
    index: Index,
    version: Number,
    url: Url = URL,
    key: Key = None,
    history: HistoryFile = None,
    output: Output = "table",
) -> None:
    """
    Show one version: its difference, what each node did for it, and its complete settings.

    For example:

        miroir settings show movies 41

        miroir settings show movies 41 -o yaml
    """
    found = connect(url, key, None, history).version(index, version)
    document = HistoryDocument(index=index, versions=[version_form(found, whole=True)])
    Outlet(output).answer(document, Group(*_one(found)))


def rollback(  # noqa: PLR0913, PLR0917 - its options
    index: Index,
    version: Number,
    url: Url = URL,
    key: Key = None,
    history: HistoryFile = None,
    yes: Yes = False,
    wait: Wait = True,
    timeout: Timeout = "1h",
    message: Reason = "",
    output: Output = "table",
) -> None:
    """
    Bring a former version back, as a new one.

    For example:

        miroir settings rollback movies 41 -m "the new stop words lose titles"
    """
    target, outlet = connect(url, key, None, history), Outlet(output)
    changes = _way_back(target, index, version)
    outlet.say(differences_picture(f"{index}: in force → version {version}", changes))
    if changes and not yes:
        if not interactive():
            raise UsageFault("there is no terminal to ask on; say --yes to go ahead")
        ask("bring this back?", outlet.console)
    wishes = Wishes(wait=wait, timeout_s=duration_of(timeout, "--timeout"))
    ticket = target.rollback(index, version, by=caller(), reason=message) if changes else None
    if ticket is None:
        outcome = AppliedForm(index=index, outcome="unchanged")
    else:
        outcome = followed(target, ticket, wishes, outlet.console)
    document = ApplyDocument(server=server(target), indexes=[outcome])
    outlet.answer(document, outcome_picture(target, [outcome]))
    raise typer.Exit(1 if outcome.outcome == "failed" else 0)


def confirm(
    index: Index,
    url: Url = URL,
    key: Key = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Only if it is this one. Default: the one in force.")
    ] = None,
    output: Output = "table",
) -> None:
    """
    Keep a change that would undo itself (`apply --confirm`).

    For example:

        miroir settings confirm movies
    """
    target = connect(url, key)
    settle(target, index, _SETTLE_S)  # The other half may still follow.
    target.confirm(index, version)
    document = DoneDocument(server=server(target), index=index, done="confirmed")
    Outlet(output).answer(document, Text(f"the settings of {index} stay"))


def cancel(
    change: Annotated[int, typer.Argument(metavar="CHANGE", min=1, help="Its number.")],
    url: Url = URL,
    key: Key = None,
    output: Output = "table",
) -> None:
    """
    Take back a change that waits: of settings, or a swap; `watch` shows its number.

    Possible until the first node has been asked for something.

    For example:

        miroir settings cancel 41
    """
    target = connect(url, key)
    index = target.cancel(change)
    document = DoneDocument(server=server(target), index=index, done="canceled")
    said = Text(f"change {change} of {index} is taken back; no node was asked for anything")
    Outlet(output).answer(document, said)


def thaw(index: Index, url: Url = URL, key: Key = None, output: Output = "table") -> None:
    """
    Let document writes through again to an index that Miroir has frozen.

    For example:

        miroir settings thaw movies
    """
    target = connect(url, key)
    target.thaw(index)
    document = DoneDocument(server=server(target), index=index, done="thawed")
    said = Text(f"{index} takes documents again; see it with `miroir status`")
    Outlet(output).answer(document, said)


def _way_back(target: Target, index: str, number: int) -> Any:
    former = target.version(index, number)
    live = target.live(index)
    if former.settings is None:
        raise UsageFault(f"version {number} of `{index}` is from before settings were kept whole")
    return compared(index, live.settings or {}, former.settings)


def _list(index: str, versions: tuple[Version, ...]) -> RenderableType:
    if not versions:
        return Text(f"{index} has no versions yet")
    width = len(f"v{versions[0].version}") + 2
    parts: list[RenderableType] = []
    for version in versions:
        number = f"v{version.version}".ljust(width)
        head = Text.assemble((number, "bold"), (moment(version.at), "dim"))
        seconds = seconds_of(version.duration)
        took = [] if seconds is None else [words(seconds)]
        head.append("  " + "  ".join((version.by, *took, version.reason)).rstrip())
        kind = "" if version.kind in {"change", *version.diff} else f"{version.kind}: "
        keys = Text(" " * width).append(f"{kind}{', '.join(version.diff) or 'no key'}", "cyan")
        parts += [Hanging(head, width), Hanging(keys, width)]
    return Group(*parts)


def _one(version: Version) -> Iterator[RenderableType]:
    head = f"version {version.version}  {moment(version.at)}  {version.kind} by {version.by}"
    yield Text(head, "bold")
    if version.reason:
        yield Hanging(Text(f"why      {version.reason}"), 9)
    yield Hanging(Text(f"changed  {', '.join(version.diff) or 'nothing'}"), 9)
    for name, node in version.nodes.items():
        seconds = seconds_of(node.get("duration"))
        took = "" if seconds is None else f"  {words(seconds)}"
        task = "no task" if node.get("taskUid") is None else f"task {node['taskUid']}"
        yield Text(f"  {name}  {node.get('state') or '-'}  {task}{took}", "dim")
    if version.settings is None:
        yield Text("its complete settings were not kept", "yellow")
    else:
        pairs = {k: pair for k, pair in version.diff.items() if isinstance(pair, list | tuple)}
        # Both from the difference, where more is masked than in the settings.
        before, after = ({key: pair[at] for key, pair in pairs.items()} for at in (0, 1))
        yield Text()
        if changes := compared("", before, after):
            yield differences_picture("against the version before", changes)
        yield Text("complete settings", "bold")
        yield Text(dump(quoted(shown(version.settings))).rstrip())

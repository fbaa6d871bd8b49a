"""
`miroir doctor`: everything that is wrong, or will be, each with what to do about it.

A list of checks, each a function from a target to findings; the command only runs them and prints.
Nothing is changed. Of a plain Meilisearch fewer things can be asked, and it says which were.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from miroir.cli.admin_client import Refused
from miroir.cli.doctor_disk import clocks_of_nodes, disk, found
from miroir.cli.settings.connect import URL, ApiKey, Key, Url, connect
from miroir.cli.settings.documents import DoctorDocument, FindingForm
from miroir.cli.settings.forms import server
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.picture import Hanging
from miroir.cli.settings.plain import PlainTarget
from miroir.cli.settings.proxy import ProxyTarget
from miroir.cli.settings.target import Live, NodeInfo, Target
from miroir.core.engine_keys import at_default, default_of
from miroir.core.secret_places import scrubbed

_SKEW_S: Final = 5.0
_WORDS: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}
Level = Literal["ok", "note", "warning", "error"]
Findings = Iterator[FindingForm]


def doctor(
    url: Url = URL, key: Key = None, api_key: ApiKey = None, output: Output = "table"
) -> None:
    """
    Look for what is wrong, and say what to do about it.

    Exit status 0: nothing is; 1: something is.

    For example:

        miroir doctor

        miroir doctor --url http://search:7700 --key env:MEILI_KEY -o json
    """
    target = connect(url, key, api_key)
    nodes, lives = target.nodes(), [target.live(index) for index in target.indexes()]
    findings = [*_nodes(nodes), *_clock(target), *_indexes(lives), *_defaults(nodes, lives)]
    findings += disk(target)
    for check in _CHECKS.get(target.kind, ()):
        findings += check(target)
    healthy = not any(finding.level == "error" for finding in findings)
    document = DoctorDocument(server=server(target), healthy=healthy, findings=findings)
    Outlet(output).answer(document, _picture(document))
    raise typer.Exit(0 if healthy else 1)


def _nodes(nodes: tuple[NodeInfo, ...]) -> Findings:
    down = [node for node in nodes if not node.healthy]
    for node in down:
        where = f" ({node.where})" if node.where else ""
        yield found(
            "error",
            "reachability",
            f"{node.name} at {node.url}{where} does not answer",
            "start it; it is used again by itself when it has caught up",
        )
    if not down:
        yield found("ok", "reachability", f"{_many(len(nodes), 'node answers', 'nodes answer')}")
    engines = sorted({node.engine for node in nodes if node.engine})
    if len(engines) > 1:
        yield found(
            "warning",
            "versions",
            f"nodes run different engines: {', '.join(engines)}",
            "finish the upgrade; until then write `rankingRules` out, as their default differs",
        )
    elif engines:
        yield found("ok", "versions", f"every node runs {engines[0]}")
    else:
        yield found(
            "note", "versions", "the engine's version is not told", "give a key with `version`"
        )


def _clock(target: Target) -> Findings:
    said = target.clock() if isinstance(target, ProxyTarget | PlainTarget) else None
    try:
        there = parsedate_to_datetime(said) if said else None
    except ValueError:
        there = None
    if there is None:
        yield found("note", "clocks", "the server does not tell its time")
        return
    skew_s = abs((datetime.now(UTC) - there).total_seconds())
    if skew_s > _SKEW_S:
        yield found(
            "warning",
            "clocks",
            f"the server's clock and this one are {skew_s:.0f} s apart",
            "let both follow NTP; expiry of keys and the times of a history depend on it",
        )
    else:
        yield found("ok", "clocks", "the server's clock and this one agree")


def _indexes(lives: list[Live]) -> Findings:
    for live in lives:
        if live.frozen:
            yield found(
                "error",
                "frozen",
                f"`{live.index}` takes no documents: {live.frozen}",
                f"change or roll back its settings, or: miroir settings thaw {live.index}",
            )
        astray = [f"{n} {c['state']}" for n, c in live.cells.items() if c["state"] != "synced"]
        if astray:
            yield found(
                "error",
                "settings",
                f"`{live.index}` is not served by every node: {', '.join(astray)}",
                f"see why: miroir drift explain {live.index}; what goes on: miroir settings watch",
            )
        if live.unconfirmed:
            yield found(
                "warning",
                "unconfirmed",
                f"version {live.version} of `{live.index}` undoes itself",
                f"keep it: miroir settings confirm {live.index}",
            )
    if all(c["state"] == "synced" for live in lives for c in live.cells.values()):
        yield found("ok", "settings", f"{_many(len(lives), 'index', 'indexes')} looked at")


def _defaults(nodes: tuple[NodeInfo, ...], lives: list[Live]) -> Findings:
    """A default is not stored: an upgrade changes it, and the order of results, with no task."""
    engines = sorted({node.engine for node in nodes if node.engine})
    if len({str(default_of("rankingRules", engine)) for engine in engines}) < 2:
        return
    for live in lives:
        rules = (live.settings or {}).get("rankingRules")
        if any(at_default("rankingRules", rules, engine) for engine in engines):
            yield found(
                "warning",
                "defaults",
                f"`{live.index}` leaves its ranking rules at the default, which differs between "
                f"{' and '.join(engines)}",
                "write `rankingRules` into its file and apply it",
            )


def _drift(target: Target) -> Findings:
    assert isinstance(target, ProxyTarget)
    seen = target.drift()
    for row in seen["results"]:
        if row["state"] == "ignored":
            yield found(
                "note",
                "drift",
                f"{row['node']} differs in {', '.join(row['faults'])} of `{row['index']}`, which "
                "is to be ignored",
                f"guard it again: miroir drift ignore {row['index']} --stop",
            )
            continue
        yield found(
            "error" if row["breaker"] == "open" else "warning",
            "drift",
            f"{row['node']} strays from `{row['index']}`: {', '.join(row['faults'])}",
            f"miroir drift explain {row['index']}, then repair or adopt",
        )
    for each in seen["unmanaged"]:
        yield found(
            "warning",
            "unmanaged",
            f"`{each['index']}` is on {', '.join(each['nodes'])} and not managed: {each['why']}",
            f"miroir drift adopt {each['index']}",
        )
    if not seen["results"] and not seen["unmanaged"]:
        yield found("ok", "drift", "no node strays")


def _commons(target: Target) -> Findings:
    assert isinstance(target, ProxyTarget)
    kinds: tuple[Literal["keys", "features"], ...] = ("keys", "features")
    for kind in kinds:
        seen = target.standing(kind)
        behind = [n for n, cell in seen["nodes"].items() if cell["state"] != "synced"]
        if behind:
            yield found(
                "warning",
                kind,
                f"{', '.join(behind)} do not have the {kind} of the cluster yet",
                "they get them by themselves when they answer; see miroir status",
            )
        else:
            yield found("ok", kind, f"every node has the same {kind}")
        besides = [node for node, keys in (seen.get("unmanaged") or {}).items() if keys]
        if besides:
            yield found(
                "note",
                kind,
                f"keys that the cluster does not know are on {', '.join(besides)}",
                "make them through Miroir (POST /keys), or delete them on the nodes",
            )


def _grid(target: Target) -> Findings:
    nodes = target.nodes()
    columns: dict[str, int] = {}
    for node in nodes:
        shard = node.where.split(",")[0]
        columns[shard] = columns.get(shard, 0) + node.healthy
    thin = [shard for shard, count in columns.items() if count < 2]
    if thin:
        yield found(
            "note",
            "replicas",
            f"{', '.join(thin)} has fewer than two nodes that answer",
            "changes of settings have a mixed window, and no node may be lost; add a group",
        )
    else:
        yield found("ok", "replicas", "every shard can lose a node")


def _tasks(target: Target) -> Findings:
    assert isinstance(target, PlainTarget)
    for task in target.failed_tasks():
        why = (task.get("error") or {}).get("message", "no reason given")
        yield found(
            "note",
            "tasks",
            f"settings task {task['uid']} of `{task['indexUid']}` failed: {scrubbed(why)}",
            "see what is in force: miroir settings plan",
        )


def _rights(target: Target) -> Findings:
    """What the key may not do is found out here and not in the middle of a change."""
    assert isinstance(target, PlainTarget)
    for path, right, use in (
        ("/indexes?limit=1", "indexes.get", "to find indexes"),
        ("/tasks?limit=1", "tasks.get", "to wait for changes and learn how long they take"),
        ("/stats", "stats.get", "to tell numbers of documents"),
        ("/version", "version", "to know which settings the engine has"),
    ):
        try:
            target.read(path)
        except Refused:
            yield found(
                "warning",
                "rights",
                f"the key lacks `{right}`, {use}",
                f"make one that has it: POST /keys with actions settings.*, {right}, ...",
            )


_CHECKS: Final[dict[str, tuple[Callable[[Target], Findings], ...]]] = {
    "miroir": (_drift, _commons, _grid, clocks_of_nodes),
    "meilisearch": (_rights, _tasks),
}


def _picture(document: DoctorDocument) -> RenderableType:
    lines: list[RenderableType] = []
    for finding in document.findings:
        colour = _WORDS[finding.level]
        said = Text.assemble((f"{finding.level:<8}", colour), f"{finding.says}")
        lines.append(Hanging(said, 8))
        if finding.remedy and finding.level != "ok":
            remedy = Text.assemble("        ", (f"→ {finding.remedy}", "dim"))
            lines.append(Hanging(remedy, 10))
    bad = sum(finding.level in {"warning", "error"} for finding in document.findings)
    end = Text(f"{bad} to look at", "yellow") if bad else Text("all is well", "green")
    return Group(*lines, end)


def _many(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"

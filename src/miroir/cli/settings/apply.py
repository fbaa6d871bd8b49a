"""`miroir settings apply`: bring the settings in force to what files, or a saved plan, say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from miroir.cli.faults import UsageFault
from miroir.cli.settings.applying import (
    Wishes,
    ask,
    carry_out,
    carry_out_on_trial,
    check_wishes,
    outcome_picture,
)
from miroir.cli.settings.connect import URL, ApiKey, HistoryFile, Key, Url, caller, connect
from miroir.cli.settings.documents import ApplyDocument, PlanDocument
from miroir.cli.settings.durations import duration_of
from miroir.cli.settings.files import parse, plain
from miroir.cli.settings.follow import settle
from miroir.cli.settings.forms import server
from miroir.cli.settings.output import Outlet, Output, interactive
from miroir.cli.settings.picture import plan_picture
from miroir.cli.settings.plan import Environment, Indexes, SendSecrets
from miroir.cli.settings.planning import Planned, check_base, load_sound, plan_all, refuse_unfit
from miroir.cli.settings.target import Target
from miroir.core.settings_document import Declared

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the change to its end.")]
Timeout = Annotated[
    str, typer.Option(metavar="DURATION", help="Stop waiting after this time; the change goes on.")
]
Plan = Annotated[Path, typer.Argument(metavar="PATH", help="Files, a folder, or a saved plan.")]
Confirm = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="Undo the change unless it is confirmed in time."),
]
Canary = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Golden queries that must hold before the switch."),
]
Reason = Annotated[str, typer.Option("--message", "-m", help="Why, for the history.")]


@dataclass(frozen=True)
class Source:
    """
    What is to be applied.

    Attributes:
        saved: The plan that it is from; None: files.
        send_secrets: Whether masks that fit are no reason not to send secrets.
    """

    declared: Sequence[Declared]
    saved: PlanDocument | None = None
    send_secrets: bool = False


def apply(  # noqa: PLR0913, PLR0917 - its options
    path: Plan,
    url: Url = URL,
    key: Key = None,
    api_key: ApiKey = None,
    history: HistoryFile = None,
    env: Environment = None,
    index: Indexes = None,
    yes: Yes = False,
    wait: Wait = True,
    timeout: Timeout = "1h",
    confirm: Confirm = None,
    canary: Canary = None,
    send_secrets: SendSecrets = False,
    message: Reason = "",
    output: Output = "table",
) -> None:
    """
    Bring the settings in force to what the files say, index by index.

    Sends nothing where nothing differs. Without a terminal, say --yes. Exit status 0: it is so,
    read back from the nodes (with --no-wait: accepted); 1: something failed; 2: called wrongly.

    With --confirm a change undoes itself unless somebody keeps it (`miroir settings confirm`).
    Miroir does that, also over a restart; on one plain Meilisearch this command asks and undoes
    itself, so it needs --wait, and killing the command prevents the undo.

    For example:

        miroir settings apply settings/ -m "stop words for French"

        miroir settings apply plan.json --yes

        miroir settings apply settings/ --confirm 10m --canary golden.yaml

        miroir settings apply movies.yaml --url http://search:7700 --key env:MEILI_KEY
    """
    wishes = Wishes(
        wait=wait,
        timeout_s=duration_of(timeout, "--timeout"),
        confirm_s=duration_of(confirm, "--confirm") if confirm else None,
        canary=_canary(canary) if canary else None,
        by=caller(),
        reason=message,
    )
    source = _source(path, env, index or [], send_secrets=send_secrets)
    target = connect(url, key, api_key, history)
    outlet = Outlet(output)
    planned = _planned(target, source, wishes, outlet.console)
    run(target, planned, wishes, outlet, yes=yes)


def run(
    target: Target, planned: Sequence[Planned], wishes: Wishes, outlet: Outlet, *, yes: bool
) -> None:
    """Show a plan, ask, carry it out, tell; ends the command."""
    outlet.say(plan_picture(planned))
    refuse_unfit(planned)
    check_wishes(target, planned, wishes, asks=interactive())
    if any(not each.plan.empty for each in planned) and not yes:
        if not interactive():
            raise UsageFault("there is no terminal to ask on; say --yes to go ahead")
        ask("apply this?", outlet.console)
    on_trial = wishes.confirm_s is not None and not target.versioned
    carry = carry_out_on_trial if on_trial else carry_out
    outcomes = carry(target, planned, wishes, outlet.console)
    document = ApplyDocument(server=server(target), indexes=outcomes)
    changed = any(outcome.outcome != "unchanged" for outcome in outcomes)
    outlet.answer(document, outcome_picture(target, outcomes) if changed else None)
    bad = {"failed", "not started", "undone"}
    raise typer.Exit(1 if any(outcome.outcome in bad for outcome in outcomes) else 0)


def _planned(
    target: Target, source: Source, wishes: Wishes, console: Console
) -> tuple[Planned, ...]:
    for declared in source.declared:
        if any(running.index == declared.index for running in target.running()):
            if not wishes.wait:
                break  # The server judges whether the settings have moved.
            console.print(f"waiting for another change of {declared.index} to end ...")
            settle(target, declared.index, wishes.timeout_s)
    planned = plan_all(target, source.declared, send_secrets=source.send_secrets)
    if source.saved is not None:
        forms = {form.index: form for form in source.saved.indexes}
        for each in planned:
            check_base(each, forms[each.plan.index].base)
    return planned


def _source(path: Path, env: str | None, only: list[str], *, send_secrets: bool) -> Source:
    saved = _saved_plan(path)
    if saved is None:
        return Source(load_sound(path, env, only).declared, send_secrets=send_secrets)
    if env is not None:
        raise UsageFault("a saved plan is for one environment already; leave --env out")
    return Source(
        [
            Declared(form.index, form.patch, source=str(path), partly=True)
            for form in saved.indexes
            if form.action != "none" and (not only or form.index in only)
        ],
        saved,
        saved.send_secrets,
    )


def _saved_plan(path: Path) -> PlanDocument | None:
    if path.suffix != ".json" or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    if '"SettingsPlan"' not in text:
        return None  # Settings in JSON.
    try:
        return PlanDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageFault(
            f"{path} is no plan of this release ({place}: {first['msg']}); make it again with "
            "`miroir settings plan --out`"
        ) from error


def _canary(path: Path) -> Any:
    from miroir.core.canary import read  # noqa: PLC0415 - only where one is given
    from miroir.errors import InvalidCanary  # noqa: PLC0415

    try:
        spec = plain(parse(path.read_text(encoding="utf-8")))
        read(spec)
    except OSError as error:
        raise UsageFault(f"{path} cannot be read: {error.strerror}") from error
    except InvalidCanary as error:
        raise UsageFault(f"{path}: {error}") from error
    return spec

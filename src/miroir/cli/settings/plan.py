"""`miroir settings plan` and `validate`: what would happen, and whether the files are sound."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from miroir.cli.faults import CliFault
from miroir.cli.settings.connect import URL, ApiKey, Key, Url, connect
from miroir.cli.settings.documents import FaultForm, ValidationDocument
from miroir.cli.settings.files import FileFault, load
from miroir.cli.settings.forms import plan_document
from miroir.cli.settings.output import Outlet, Output, as_json
from miroir.cli.settings.picture import Hanging, plan_picture
from miroir.cli.settings.planning import load_sound, plan_all, said

Files = Annotated[
    Path, typer.Argument(metavar="PATH", help="A YAML or JSON file, or a folder of them.")
]
Environment = Annotated[
    str | None,
    typer.Option("--env", "-e", help="Lay overlays/ENV/ over the files.", metavar="ENV"),
]
SendSecrets = Annotated[
    bool,
    typer.Option(
        "--send-secrets", help="Send keys of embedders also where the mask in force fits them."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Save the plan, for `apply FILE`; holds no secrets."),
]
Indexes = Annotated[
    list[str] | None, typer.Option("--index", "-i", help="Only this index; may be repeated.")
]


def plan(  # noqa: PLR0913, PLR0917 - its options
    path: Files,
    url: Url = URL,
    key: Key = None,
    api_key: ApiKey = None,
    env: Environment = None,
    index: Indexes = None,
    send_secrets: SendSecrets = False,
    out: Out = None,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode", help="Exit with 2 if there are changes, as Terraform does."
        ),
    ] = False,
    output: Output = "table",
) -> None:
    """
    Show what `apply` would change, what that costs, and how it would be switched.

    Changes nothing. Exit status 0; with --detailed-exitcode 0: no changes, 1: error, 2: changes.

    For example:

        miroir settings plan settings/

        miroir settings plan settings/ --env prod --out plan.json --detailed-exitcode

        miroir settings plan movies.yaml --url http://search:7700 --key env:MEILI_KEY
    """
    # Terraform's 2 means changes: here an error of usage must not look like them.
    try:
        loaded = load_sound(path, env, index or ())
        target = connect(url, key, api_key)
        planned = plan_all(target, loaded.declared, send_secrets=send_secrets)
        document = plan_document(target, planned, env, send_secrets=send_secrets)
        if out is not None:
            _save(out, as_json(document))
    except CliFault as fault:
        if detailed_exitcode:
            raise CliFault(str(fault)) from fault
        raise
    outlet = Outlet(output)
    outlet.answer(document, plan_picture(planned))
    if document.changes:
        where = out if out is not None else path
        env_part = f" --env {env}" if env and out is None else ""
        outlet.say(f"next: miroir settings apply {where}{env_part} --url {target.url}")
        raise typer.Exit(2 if detailed_exitcode else 0)


def validate(
    path: Files,
    env: Environment = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    output: Output = "table",
) -> None:
    """
    Check files without a server.

    Exit status 0: sound; 1: not.

    For example:

        miroir settings validate settings/

        miroir settings validate settings/ --env prod --strict -o json
    """
    loaded = load(path, env)
    valid = loaded.sound and not (strict and loaded.faults)
    names = [declared.index for declared in loaded.declared]
    document = ValidationDocument(
        valid=valid, indexes=names, findings=[_form(found) for found in loaded.faults]
    )
    Outlet(output).answer(document, _picture(loaded.faults, names, valid=valid))
    raise typer.Exit(0 if valid else 1)


def _form(found: FileFault) -> FaultForm:
    return FaultForm(
        level="warning" if found.fault.warning else "error",
        rule=found.fault.rule,
        file=found.file,
        line=found.line,
        index=found.index,
        place=found.fault.place,
        message=found.fault.says,
    )


def _picture(faults: tuple[FileFault, ...], names: list[str], *, valid: bool) -> RenderableType:
    lines = [
        Hanging(
            Text.assemble(
                ("warning  ", "yellow") if found.fault.warning else ("error    ", "bold red"),
                said(found),
            ),
            9,
        )
        for found in faults
    ]
    checked = f"{', '.join(names) or 'no index'}: "
    end = "sound" if valid else "not sound; correct the lines above"
    return Group(*lines, Text(checked + end, "green" if valid else "bold red"))


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise CliFault(f"{path} cannot be written: {error.strerror}") from error

"""`miroir serve`: read the configuration, set the logs up, run until asked to stop."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from miroir.config import load_config
from miroir.runtime import serve as run
from miroir.telemetry import KnownSecrets, set_up_logs

_DEFAULT: Final = Path("miroir.yaml")


def serve(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="MIROIR_CONFIG",
            help="YAML file; default: miroir.yaml if it exists, else the environment alone.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the configuration.")] = False,
) -> None:
    """Run Miroir in front of the nodes of a configuration."""
    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    checked = load_config(config, os.environ)
    if check:
        typer.echo(f"{config or 'environment'}: fine")
        return
    secrets = KnownSecrets(secret.reveal() for secret in checked.secrets)
    set_up_logs(checked.logging.format, checked.logging.level, secrets=secrets)
    run(checked, secrets)

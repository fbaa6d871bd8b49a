"""
`miroir secrets`: the secret under which Miroir keeps embedder keys.

No secret is an argument here (arguments can be read by every user) or is ever printed; ids of
keys say which secret is meant.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from miroir.adapters.store_rekey import rekey_store, sealing_key_id
from miroir.adapters.store_seal import AesSeal, NoSeal, Seal
from miroir.cli.faults import CliFault
from miroir.config import Config, load_config
from miroir.errors import ConfigError, Unavailable

OLD_VARIABLE: Final = "MIROIR_SECRET_KEY_OLD"
_DEFAULT: Final = Path("miroir.yaml")

secrets = typer.Typer(add_completion=False)


@secrets.callback()
def _secrets() -> None:
    """Keep the secrets that Miroir holds under another key."""


@secrets.command()
def rekey(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="MIROIR_CONFIG",
            help="YAML file; default: miroir.yaml if it exists, else the environment alone.",
        ),
    ] = None,
) -> None:
    """
    Seal the store anew under the configured secret; Miroir must be stopped.

    The new secret is the configured `secret_key`, without one the master key. The former one is
    taken from MIROIR_SECRET_KEY_OLD; where that is not set and a `secret_key` is configured, it
    is the master key. All or nothing: whatever happens, the store opens with the one or the other.
    """
    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    checked = load_config(config, os.environ)
    new = _new(checked)
    found = sealing_key_id(checked.data_dir)
    # Sealed under it already: then again, as the first time may not have come to its very end.
    old = new if found == new.key_id else _old(checked, os.environ, found)
    try:
        count = asyncio.run(rekey_store(checked.data_dir, old=old, new=new))
    except Unavailable as error:
        raise CliFault(str(error)) from error
    was = f"key id {found}" if found else "no key"
    typer.echo(f"{checked.data_dir}: sealed {count} values anew: {was} -> key id {new.key_id}")


def _new(config: Config) -> AesSeal:
    secret = config.sealing_secret
    if secret is None:
        raise ConfigError(
            "secret_key: there is no secret to seal under; set MIROIR_SECRET_KEY to the new one"
        )
    return AesSeal(secret.reveal())


def _old(config: Config, environ: Mapping[str, str], found: str) -> Seal:
    """Return the seal that opens the store; only the one with its id does."""
    if not found:
        return NoSeal()
    given = _candidates(config, environ)
    for seal in given.values():
        if seal.key_id == found:
            return seal
    said = "; ".join(f"{name} has id {seal.key_id}" for name, seal in given.items())
    raise ConfigError(
        f"{config.data_dir}: sealed under the secret key with id {found}, which is not there "
        f"({said or 'no former secret is given'}); set {OLD_VARIABLE} to the former secret"
    )


def _candidates(config: Config, environ: Mapping[str, str]) -> dict[str, AesSeal]:
    former = environ.get(OLD_VARIABLE)
    if former:
        return {OLD_VARIABLE: AesSeal(former)}
    if config.secret_key is not None and config.master_key is not None:
        return {"the master key": AesSeal(config.master_key.reveal())}
    return {}

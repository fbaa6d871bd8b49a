"""
A checked configuration for another process of the same server: the same values, the same checks.

Secrets go beside the rest, by name; no file and no environment is read again, since either may
have changed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from miroir.config.model import Config
from miroir.config.secret import Secret, Surroundings


def handed_over(config: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a configuration as plain values, and its secrets by the name of their key."""
    secrets = {
        name: value.reveal()
        for name in Config.model_fields
        if isinstance(value := getattr(config, name), Secret)
    }
    return config.model_dump(mode="json", exclude=set(secrets)), secrets


def received(values: Mapping[str, Any], secrets: Mapping[str, str]) -> Config:
    """Return the configuration that `handed_over` was given."""
    references = {name: {"env": name} for name in secrets}
    return Config.model_validate(
        {**values, **references}, context=Surroundings(secrets, Path.cwd())
    )

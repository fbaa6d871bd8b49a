"""
`load_config`: read, check, report. The only entrance to the configuration.

    read_source -> Config.model_validate -> Config | ConfigError with every fault at once
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from miroir.config.faults import faults_of
from miroir.config.model import Config
from miroir.config.secret import Surroundings
from miroir.config.source import Source, read_source
from miroir.errors import ConfigError


def load_config(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """
    Return the checked configuration of a file (None: none) and the environment.

    A relative `data_dir` comes back absolute: from the folder of the file, without one from the
    working directory.

    Raises:
        ConfigError: It cannot be used. One line for each fault: place, key, remedy.
    """
    surrounding = os.environ if environ is None else environ
    source = read_source(path, surrounding)
    # `logging:` with all its keys commented out means the defaults.
    given = {key: value for key, value in source.values.items() if value is not None}
    try:
        config = Config.model_validate(given, context=Surroundings(surrounding, source.folder))
    except ValidationError as error:
        # `from None`: pydantic's own report would show the values, secrets among them.
        raise ConfigError(_report(source, error)) from None
    data_dir = source.folder / config.data_dir.expanduser()
    return config.model_copy(update={"data_dir": data_dir})


def _report(source: Source, error: ValidationError) -> str:
    faults = faults_of(error, Config)
    title = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = (f"  {fault.line(source.origins)}" for fault in faults)
    return "\n".join([f"{source.name} cannot be used: {title}", *lines])

"""
Reads the two sources of configuration and remembers where each value came from.

    file          miroir.yaml, YAML 1.2
    environment   MIROIR_<SECTION>__<KEY>, values in YAML's flow form: 5, true, [a, b]

The result is one plain mapping plus an `Origins` that can name file and line, or the variable, for
any key. Nothing is checked here except that the text can be read at all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from miroir.errors import ConfigError

KeyPath = tuple[str | int, ...]

PREFIX: Final = "MIROIR_"
SECRET_KEYS: Final = (
    *("master_key", "admin_key", "secret_key"),
    *("task_webhook_url", "task_webhook_authorization"),
)
# Variables of the command line; no keys of the configuration.
OTHER_VARIABLES: Final = frozenset(
    {
        *("MIROIR_CONFIG", "MIROIR_MEILISEARCH_BIN", "MIROIR_NODE_MASTER_KEY"),
        *("MIROIR_URL", "MIROIR_KEY", "MIROIR_API_KEY", "MIROIR_BY"),
        "MIROIR_SECRET_KEY_OLD",
    }
)
# Kubernetes puts these into every pod beside a service called `miroir` or `miroir-...`. The value
# tells MIROIR_X_PORT from a misspelt key of ours.
_KUBERNETES: Final = re.compile(
    r"MIROIR_((?!.*__).*_)?"
    r"(SERVICE_HOST=.*|SERVICE_PORT(_.+)?=\d+|PORT=\w+://.*|PORT_\d+_(TCP|UDP|SCTP)(_.+)?=.*)"
)
_FILE_BYTES_MAX: Final = 1024 * 1024
_DEPTH_MAX: Final = 16


@dataclass
class Origins:
    """Where each value came from: "miroir.yaml:12" or "environment MIROIR_LISTEN__PORT"."""

    default: str
    known: dict[KeyPath, str] = field(default_factory=dict)

    def of(self, path: KeyPath) -> str:
        """Return the place of this key or of the nearest section around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.known:
                return self.known[path[:length]]
        return self.default

    def replace(self, path: KeyPath, place: str) -> None:
        """Say that this key and all below it now come from `place`."""
        for known in [known for known in self.known if known[: len(path)] == path]:
            del self.known[known]
        self.known[path] = place


@dataclass(frozen=True)
class Source:
    """What was read, unchecked."""

    name: str
    values: dict[str, Any]
    origins: Origins
    folder: Path


def read_source(path: Path | None, environ: Mapping[str, str]) -> Source:
    """
    Read file (if one is given) and environment; the environment wins.

    Raises:
        ConfigError: The file cannot be read, or is no YAML mapping.
    """
    name = str(path) if path else "environment"
    origins = Origins(name)
    values = _read_file(path, origins) if path else {}
    for variable, keys in _variables(environ):
        value: Any = environ[variable]
        if len(keys) == 1 and keys[0] in SECRET_KEYS:
            value = {"env": variable}
        else:
            value = _flow_value(value)
        _put(values, keys, value)
        origins.replace(keys, f"environment {variable}")
    return Source(name, values, origins, path.resolve().parent if path else Path.cwd())


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for variable in sorted(environ):
        if variable in OTHER_VARIABLES or not variable.startswith(PREFIX):
            continue
        if _KUBERNETES.fullmatch(f"{variable}={environ[variable]}"):
            continue
        yield variable, tuple(variable.removeprefix(PREFIX).lower().split("__"))


def _put(values: dict[str, Any], keys: tuple[str, ...], value: object) -> None:
    *sections, last = keys
    at = values
    for section in sections:
        inner = at.get(section)
        # A reference to a secret is one thing: {env} from the file never mixes with {file}.
        if not isinstance(inner, dict) or section in SECRET_KEYS:
            inner = at[section] = {}
        at = inner
    at[last] = value


def _flow_value(text: str) -> Any:
    try:
        return _plain(YAML(typ="rt").load(text), (), Origins(""))
    except (YAMLError, ConfigError):
        return text  # not YAML: then it is a text, and the section's check will judge it


def _read_file(path: Path, origins: Origins) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        remedy = "create it, or name another with --config (see docs/reference/config.md)"
        raise ConfigError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        raise ConfigError(f"{path}: {why}; make it a file that this user can read") from error
    if len(content) > _FILE_BYTES_MAX:
        raise ConfigError(f"{path}: larger than {_FILE_BYTES_MAX} bytes; is it the right file?")
    try:
        loaded = YAML(typ="rt").load(StringIO(content.decode()))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8; save it as UTF-8") from error
    except YAMLError as error:
        raise ConfigError(f"{path}{_said_by_yaml(error)}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, CommentedMap):
        raise ConfigError(f"{path}:1: must be a mapping; write `key: value` lines")
    plain: dict[str, Any] = _plain(loaded, (), origins)
    return plain


def _said_by_yaml(error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError):
        return ": not YAML; check it with a YAML linter"
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    problem = (error.problem or "cannot be read").split("\n")[0].strip()
    return f"{line}: not YAML: {problem}; correct this line"


def _plain(value: Any, path: KeyPath, origins: Origins) -> Any:
    """Return the value in Python's own types, and note the line of each key on the way."""
    if len(path) > _DEPTH_MAX:
        raise ConfigError(f"{origins.of(path)}: nested too deeply; remove the anchor or the level")
    if isinstance(value, CommentedMap):
        for key in value:
            _note(origins, (*path, str(key)), value.lc.data.get(key))
        return {
            str(key): _plain(inner, (*path, str(key)), origins) for key, inner in value.items()
        }
    if isinstance(value, CommentedSeq):
        for position in range(len(value)):
            _note(origins, (*path, position), value.lc.data.get(position))
        return [_plain(item, (*path, i), origins) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def _note(origins: Origins, path: KeyPath, line_and_column: list[int] | None) -> None:
    if line_and_column and origins.default:
        origins.known[path] = f"{origins.default}:{line_and_column[0] + 1}"

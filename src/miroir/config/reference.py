"""
docs/reference/config.md, made from the model: `python -m miroir.config.reference > FILE`.

Text only; a test compares the file with what this returns.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from miroir.config.model import Config, NodeConfig
from miroir.config.source import OTHER_VARIABLES, SECRET_KEYS

_INTRODUCTION: Final = """\
# Configuration

<!-- Made by `python -m miroir.config.reference`; change src/miroir/config/model.py instead. -->

`miroir serve --config miroir.yaml` reads one YAML 1.2 file and the environment; the environment
wins. An unknown key is refused, and every fault is reported at once with its place, its key and
what to do. Nothing is read again while Miroir runs.

```yaml
listen: {host: 0.0.0.0, port: 7700}
data_dir: /var/lib/miroir
master_key: {env: MIROIR_MASTER_KEY}
topology:
  shards: 2
  replica_groups: 2
  nodes:                # filled group by group
    - http://10.0.0.1:7700
    - http://10.0.0.2:7700
    - http://10.0.0.3:7700
    - http://10.0.0.4:7700
```

**Environment.** `MIROIR_<KEY>`, with `__` between section and key:
`MIROIR_LISTEN__PORT=7800`, `MIROIR_SETTINGS_BROADCAST__PROBE_WAIT_S=5`. Values are YAML:
`true`, `5`, `[http://a:7700, http://b:7700]`.

**Secrets** are never written in the file. Their keys take `{env: NAME}` or `{file: PATH}` (one
line; a relative path starts at the folder of the file). Variables named after them, such as
`MIROIR_MASTER_KEY`, hold the secret itself.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([_INTRODUCTION, *_keys(Config), ""])


def _keys(model: type[BaseModel]) -> Iterator[str]:
    plain = {name: field for name, field in model.model_fields.items() if not _section(field)}
    yield "## Top level\n"
    yield from _table(plain)
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is None:
            continue
        yield f"\n## {name}\n\n{_about(section)}\n"
        yield from _table(section.model_fields)
        if name == "topology":
            yield f"\n### {name}.nodes\n\n{_about(NodeConfig)}\n"
            yield from _table(NodeConfig.model_fields, required="filled in")
    yield "\n## Variables that are no keys\n"
    yield f"Read by commands: {', '.join(f'`{name}`' for name in sorted(OTHER_VARIABLES))}."


def _about(section: type[BaseModel]) -> str:
    lines = (section.__doc__ or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines)


def _table(fields: dict[str, FieldInfo], required: str = "required") -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        default = _default(field) if name == "url" or not field.is_required() else required
        yield f"| `{name}` | {_takes(name, field)} | {default} | {_meaning(field)} |"


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _takes(name: str, field: FieldInfo) -> str:
    if name in SECRET_KEYS:
        return "reference to a secret"
    choices = getattr(field.annotation, "__args__", ())
    if get_origin(field.annotation) is dict:
        words = " or ".join(f"`{choice}`" for choice in get_args(get_args(field.annotation)[1]))
        return f"index uids, each with {words}"
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(f"`{choice}`" for choice in choices)
    kinds: dict[Any, str] = {int: "whole number", float: "number", bool: "`true` or `false`"}
    text = kinds.get(field.annotation, "list" if name == "nodes" else "text")
    return text + _limits(field)


def _limits(field: FieldInfo) -> str:
    words = {"gt": "more than", "ge": "at least", "le": "at most"}
    said = [
        f"{word} {getattr(part, limit):g}"
        for part in field.metadata
        for limit, word in words.items()
        if getattr(part, limit, None) is not None
    ]
    return f", {', '.join(said)}" if said else ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())

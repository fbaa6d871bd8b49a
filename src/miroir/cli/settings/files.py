"""
Settings in YAML files: which files, overlays of an environment, reading, writing with comments.

YAML 1.2, so the stop words `no`, `on`, `off` stay words; what YAML 1.1 would take for something
else is written in quotes, for readers of that age. A file holds one index, or several under
`indexes`. Overlays lie in `overlays/ENVIRONMENT/` beside them. What a file means is
`core/settings_document.py`'s.
"""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from miroir.cli.faults import UsageFault
from miroir.core.settings_document import Declared, Fault, Reading, overlaid, read

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_OVERLAYS: Final = "overlays"
_PARAGRAPHS: Final = re.compile(r"(?:[!-~¡-\u1fff](?:[ -~¡-\u1fff]*[!-~¡-\u1fff])?\n+){1,}.*[!-~]")
_ODD: Final = re.compile(r"[^ -~¡-\u1fff\u3040-\ud7ff]|^\s|\s$")
_OLD_WORDS: Final = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null|~|0o?[0-7]+|[\d:_.]+")


@dataclass(frozen=True)
class FileFault:
    """
    A fault with its place in a file.

    Attributes:
        line: From 1; 0: the whole file.
    """

    file: str
    line: int
    index: str
    fault: Fault


@dataclass(frozen=True)
class Loaded:
    """Everything that was read from a path."""

    declared: tuple[Declared, ...]
    faults: tuple[FileFault, ...]

    @property
    def sound(self) -> bool:
        """Whether there is nothing but warnings."""
        return all(found.fault.warning for found in self.faults)


@dataclass(frozen=True)
class _Part:
    """The raw mapping of one index of one file."""

    file: Path
    index: str | None
    raw: Any

    @property
    def name(self) -> str | None:
        """Name of the index, where one is given."""
        named = self.raw.get("index") if isinstance(self.raw, Mapping) else None
        return self.index or (named if isinstance(named, str) else None)


def load(path: Path, environment: str | None = None) -> Loaded:
    """
    Read a file or a folder, with the overlays of an environment.

    Raises:
        UsageFault: There is no such path or environment, or no settings in it.
    """
    files = _files(path)
    folder = path if path.is_dir() else path.parent
    parts, faults = _parts(files)
    if environment is not None:
        over = folder / _OVERLAYS / environment
        if not over.is_dir():
            raise UsageFault(f"there is no environment `{environment}`: {over} is no folder")
        extra, more = _parts(_files(over))
        faults += more
        parts = _laid_over(parts, extra)
    readings = [(part, read(plain(part.raw), str(part.file), index=part.index)) for part in parts]
    faults += [found for part, reading in readings for found in _placed(part, reading)]
    declared = [reading.declared for _, reading in readings if reading.declared is not None]
    return Loaded(tuple(declared), (*faults, *_twice(declared)))


def parse(text: str) -> Any:
    """Return what YAML 1.2 (or JSON) says; `YAMLError` as ruamel.yaml raises it."""
    return _yaml().load(text)


def dump(document: Any) -> str:
    """Return YAML."""
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def quoted(value: Any) -> Any:
    """Return a value fit for YAML: words that older readers would not take for words in quotes."""
    if isinstance(value, Mapping):
        return CommentedMap((_quoted_key(str(k)), quoted(v)) for k, v in value.items())
    if isinstance(value, list):
        return [quoted(item) for item in value]
    if isinstance(value, str) and _PARAGRAPHS.fullmatch(value):
        return LiteralScalarString(value)
    return _quoted_key(value) if isinstance(value, str) else value


def _quoted_key(word: str) -> str:
    if _OLD_WORDS.fullmatch(word) or _ODD.search(word):
        quoted_word: str = DoubleQuotedScalarString(word)
        return quoted_word
    return word


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 99
    yaml.allow_unicode = True
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar(_NULL, "null"))
    return yaml


_NULL: Final = "tag:yaml.org,2002:null"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageFault(
            f"{path} is not there; write the settings in force to it with `miroir settings pull "
            f"--out {path}`"
        )
    found = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
    if not found:
        raise UsageFault(f"{path} holds no .yaml or .json file")
    return found


def _parts(files: list[Path]) -> tuple[list[_Part], list[FileFault]]:
    parts: list[_Part] = []
    faults: list[FileFault] = []
    for file in files:
        try:
            raw = parse(file.read_text(encoding="utf-8"))
        except (YAMLError, UnicodeDecodeError) as error:
            faults.append(_unreadable(file, error))
            continue
        indexes = raw.get("indexes") if isinstance(raw, Mapping) else None
        if isinstance(indexes, Mapping):
            head = {k: v for k, v in raw.items() if k != "indexes"}
            parts += [_Part(file, str(i), _with_head(head, inner)) for i, inner in indexes.items()]
        else:
            parts.append(_Part(file, None, raw))
    return parts, faults


def _with_head(head: Mapping[str, Any], inner: Any) -> Any:
    """What a file says for all of its indexes is said for each."""
    if not isinstance(inner, CommentedMap):
        return inner
    for name, value in head.items():
        inner.setdefault(name, value)
    return inner


def _unreadable(file: Path, error: Exception) -> FileFault:
    line = 0
    said = "this is not UTF-8"
    if isinstance(error, MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        said = f"{error.problem}"
    elif isinstance(error, YAMLError):
        said = str(error).splitlines()[0]
    return FileFault(str(file), line, "", Fault("", said, "yaml"))


def _laid_over(parts: list[_Part], extra: list[_Part]) -> list[_Part]:
    by_name = {part.name: part for part in extra}
    laid = []
    for part in parts:
        over = by_name.pop(part.name, None)
        laid.append(replace(part, raw=overlaid(part.raw, over.raw)) if over else part)
    return [*laid, *by_name.values()]


def plain(raw: Any) -> Any:
    """Return ruamel's own types as Python's."""
    if isinstance(raw, Mapping):
        return {plain(k): plain(v) for k, v in raw.items()}
    if isinstance(raw, list):
        return [plain(item) for item in raw]
    if isinstance(raw, str):
        return str(raw)
    if isinstance(raw, bool) or raw is None:
        return raw
    if isinstance(raw, int):
        return int(raw)
    return float(raw) if isinstance(raw, float) else str(raw)


def _placed(part: _Part, reading: Reading) -> Iterator[FileFault]:
    name = reading.declared.index if reading.declared else part.name or ""
    for fault in reading.faults:
        yield FileFault(str(part.file), _line(part.raw, fault.place), name, fault)


def _line(raw: Any, place: str) -> int:
    """Return the line of the innermost part of a place that the file has."""
    line = 0
    for step in re.findall(r"[^.\[\]]+", place):
        marks = getattr(raw, "lc", None)
        try:
            at: Any = int(step) if isinstance(raw, list) else step
            if marks is not None and marks.data and at in marks.data:
                line = marks.data[at][0] + 1
            raw = raw[at]
        except (KeyError, IndexError, TypeError, ValueError):
            break  # The place names something that is missing.
    return line


def _twice(declared: list[Declared]) -> Iterator[FileFault]:
    seen: dict[str, str] = {}
    for each in declared:
        if each.index in seen:
            said = f"`{each.index}` is also in {seen[each.index]}"
            yield FileFault(each.source, 0, each.index, Fault("index", said, "index-twice"))
        seen.setdefault(each.index, each.source)

"""
Where settings hold secrets, how files refer to them, and how they are hidden.

Secret are, within `embedders`: every `apiKey` at any depth, headers that authorise, and a URL with
a query or a user in it. Nodes mask only the outermost `apiKey`; the others they show, so whatever
is printed or written goes through `redacted` or `referenced` first. A reference is `env:NAME` or
`file:PATH`, and only at these places: elsewhere such a text is a word like any other. Pure: what a
reference stands for is looked up by the caller.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from miroir.core.settings import EMBEDDERS

HIDDEN: Final = "(secret)"
Path = tuple[str, ...]
Lookup = Callable[[str], str | None]
"""Reference -> secret; None: there is none."""
_REFERENCE: Final = re.compile(r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")
_HEADER: Final = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\?.|//[^/]*@")
_GONE: Final = object()


def is_reference(value: Any) -> bool:
    """Whether this is `env:NAME` or `file:PATH`."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def is_secret(key: str, path: Path, value: Any) -> bool:
    """Whether the value at this place within the setting `key` must not be shown."""
    if key != EMBEDDERS or not isinstance(value, str) or not path:
        return False
    name = path[-1]
    if name == "apiKey":
        return True
    if name == "url":
        return is_reference(value) or _ADDRESS.search(value) is not None
    return len(path) > 1 and path[-2] == "headers" and _HEADER.search(name) is not None


def places(settings: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield every secret of complete or partial settings, its path from the setting inwards."""
    for path, value in _strings(settings.get(EMBEDDERS), ()):
        if is_secret(EMBEDDERS, path, value):
            yield path, value


def redacted(key: str, value: Any, path: Path = ()) -> Any:
    """Return a value with references kept and secrets replaced by a mark."""
    if isinstance(value, Mapping):
        return {name: redacted(key, inner, (*path, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [redacted(key, inner, path) for inner in value]
    if is_secret(key, path, value) and not is_reference(value):
        return HIDDEN
    return value


def shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings fit to be shown."""
    return {key: redacted(key, value) for key, value in settings.items()}


def referenced(settings: Mapping[str, Any], index: str) -> dict[str, Any]:
    """Return settings with a reference that has a telling name in the place of each secret."""
    answer = dict(settings)
    for path, _ in places(settings):
        answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, f"env:{_variable(index, path)}")
    return answer


def resolved(
    settings: Mapping[str, Any], lookup: Lookup
) -> tuple[dict[str, Any], dict[Path, str]]:
    """Return settings with secrets filled in, and the references that lead to none, left out."""
    answer, missing = dict(settings), {}
    for path, value in places(settings):
        if is_reference(value):
            secret = lookup(value)
            if secret is None:
                missing[path] = value
            answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, _GONE if secret is None else secret)
    return answer, missing


def kept(
    settings: Mapping[str, Any], live: Mapping[str, Any], paths: Mapping[Path, str]
) -> dict[str, Any]:
    """Return settings with what is in force at these places, where there is something."""
    answer = dict(settings)
    for path in paths:
        value = _at(live.get(EMBEDDERS), path)
        if value is not None:
            answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, value)
    return answer


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, (*path, str(name)))
    elif isinstance(value, str):
        yield path, value


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    inner = dict(value) if isinstance(value, Mapping) else {}
    changed = _put(inner.get(path[0]), path[1:], new)
    if changed is _GONE:
        inner.pop(path[0], None)
    else:
        inner[path[0]] = changed
    return inner


def _variable(index: str, path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", "_".join(path)))
    head = re.sub(r"[^A-Za-z0-9]+", "_", index)
    return f"{head}_{name}".upper() if head[:1].isalpha() else f"INDEX_{head}_{name}".upper()

"""
Turns pydantic's errors into lines that say where, which key, what is wrong and what to do.

The value found is shown only when it is short and the key is no secret. One table holds the
wordings; a kind of error that is not in it keeps pydantic's own sentence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from miroir.config.source import SECRET_KEYS, KeyPath, Origins

_SHOWN_CHARS_MAX: Final = 60


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the configuration."""

    path: KeyPath
    said: str

    def line(self, origins: Origins) -> str:
        """Return the line for the operator."""
        return f"{origins.of(self.path)}: {dotted(self.path)}: {self.said}"


def dotted(path: KeyPath) -> str:
    """Return a key as the reference spells it: topology.nodes[2].url."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Return every fault of one validation, in the order of the sections."""
    found: list[Fault] = []
    for details in error.errors(include_url=False):
        path: KeyPath = details["loc"]
        several = details.get("ctx", {}).get("faults")
        if several is None:
            found.append(Fault(path, _said(details, model)))
        else:
            found.extend(Fault((*path, *fault.path), fault.said) for fault in several)
    return found


def _said(details: ErrorDetails, model: type[BaseModel]) -> str:
    if details["type"] == "extra_forbidden":
        return _unknown(str(details["loc"][-1]), model, details["loc"][:-1])
    wording = _WORDINGS.get(details["type"])
    context = details.get("ctx", {})
    said = wording(context) if wording else details["msg"][:1].lower() + details["msg"][1:]
    return f"{_shown(details)}{said}"


def _shown(details: ErrorDetails) -> str:
    value = details["input"]
    if details["type"] == "miroir" or details["loc"][0] in SECRET_KEYS:
        return ""
    if value is None:
        return "it is empty; "
    if not isinstance(value, str | int | float | bool):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}` " if len(text) <= _SHOWN_CHARS_MAX else ""


def _unknown(key: str, model: type[BaseModel], path: KeyPath) -> str:
    section = _section(model, path)
    assert section is not None, "only a section can have unknown keys"
    known = tuple(section.model_fields)
    inner = {dotted((name, key)): key for name in known for key in _inner_keys(model, path, name)}
    moved = [place for place, name in inner.items() if name == key]
    near = moved or get_close_matches(key, [*known, *inner], n=1, cutoff=0.6)
    if near:
        return f"unknown key; did you mean `{near[0]}`?"
    return f"unknown key; remove it, or use one of {', '.join(known)}"


def _inner_keys(model: type[BaseModel], path: KeyPath, name: str) -> tuple[str, ...]:
    section = _section(model, (*path, name))
    return tuple(section.model_fields) if section else ()


def _section(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the section at `path`, or None when it is a plain key."""
    section: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int):
            continue
        if section is None:
            return None
        annotation = section.model_fields[part].annotation
        kinds = [annotation, *get_args(annotation)]
        section = next(
            (k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None
        )
    return section


_WORDINGS: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "missing": lambda _: "is missing; add it",
    "int_type": lambda _: "must be a whole number",
    "int_parsing": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "string_type": lambda _: "must be a text",
    "list_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be a mapping; write its keys indented below it",
    "model_type": lambda _: "must be a mapping; write its keys indented below it",
    "model_attributes_type": lambda _: "must be a mapping; write its keys indented below it",
    "literal_error": lambda context: f"must be {context['expected']}",
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']:g}",
    "less_than_equal": lambda context: f"must be at most {context['le']:g}",
    "string_pattern_mismatch": lambda _: (
        "must be at most 63 letters, digits, `.`, `_` or `-`, the first a letter or digit"
    ),
    "string_too_short": lambda _: "must not be empty",
    "miroir": lambda context: str(context["said"]),
}

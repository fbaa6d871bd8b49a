"""
Checks of query-string parameters, with Meilisearch's sentence for every fault.

The wording follows the `deserr` crate (errors/query_params.rs). A `Parameter` names its error code
and a parser; parsers raise `ValueError` with the reason. JSON bodies are `validate.py`'s business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from miroir.node.errors import ApiError
from miroir.node.validate import did_you_mean, listed

Parser: TypeAlias = Callable[[str], Any]


class UnknownChoiceError(ValueError):
    """A word that is not one of a list; worded by the parameter."""

    def __init__(self, value: str, accepted: list[str]) -> None:
        super().__init__(value)
        self.value, self.accepted = value, accepted


class FaultyItemError(ValueError):
    """An element of a list that cannot be read; its place is named unless it is alone."""

    def __init__(self, index: int | None, reason: Exception) -> None:
        super().__init__(str(reason))
        self.where = "" if index is None else f"[{index}]"


@dataclass(frozen=True)
class Parameter:
    """How one parameter is read: its parser and the error code of its faults."""

    parse: Parser
    code: str


def read_query(
    pairs: list[tuple[str, str]], parameters: Mapping[str, Parameter]
) -> dict[str, Any]:
    """
    Return the parsed parameters that were given.

    Raises:
        ApiError: A parameter is unknown (`bad_request`) or cannot be read (its own code).
    """
    read: dict[str, Any] = {}
    for name, text in pairs:
        parameter = parameters.get(name)
        if parameter is None:
            accepted = list(parameters)
            raise ApiError(
                "bad_request",
                f"Unknown parameter `{name}`: "
                f"{did_you_mean(name, accepted)}expected one of {listed(accepted)}",
            )
        read[name] = _parsed(name, text, parameter)
    return read


def _parsed(name: str, text: str, parameter: Parameter) -> Any:
    try:
        return parameter.parse(text)
    except UnknownChoiceError as error:
        raise ApiError(
            parameter.code,
            f"Unknown value `{error.value}` for parameter `{name}`: "
            f"{did_you_mean(error.value, error.accepted)}"
            f"expected one of {listed(error.accepted)}",
        ) from error
    except ValueError as error:
        where = error.where if isinstance(error, FaultyItemError) else ""
        message = f"Invalid value in parameter `{name}{where}`: {error}"
        raise ApiError(parameter.code, message) from error


def text(value: str) -> str:
    """Take the parameter as it is."""
    return value


def count(value: str) -> int:
    """Read a positive integer."""
    digits = value.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or int(digits) > 2**64 - 1:
        raise ValueError(f"could not parse `{value}` as a positive integer")
    return int(digits)


def flag(value: str) -> bool:
    """Read `true` or `false`."""
    if value not in {"true", "false"}:
        raise ValueError(
            f"could not parse `{value}` as a boolean, expected either `true` or `false`"
        )
    return value == "true"


def comma_list(value: str) -> list[str]:
    """Read a comma separated list; an empty text is an empty list."""
    return value.split(",") if value else []


def star_or_list(item: Parser) -> Parser:
    """Read a comma separated list in which `*` anywhere means no restriction (None)."""

    def parse(value: str) -> list[Any] | None:
        words = value.split(",") if value else []
        parsed = []
        for index, word in enumerate(words):
            try:
                parsed.append(None if word == "*" else item(word))
            except ValueError as error:
                raise FaultyItemError(index if len(words) > 1 else None, error) from error
        return None if "*" in words else parsed

    return parse


def choice(*accepted: str) -> Parser:
    """Read one of the given words."""
    names = list(accepted)

    def parse(value: str) -> str:
        if value not in names:
            raise UnknownChoiceError(value, names)
        return value

    return parse

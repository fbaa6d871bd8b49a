"""
Checks of JSON values, with Meilisearch's sentence for every fault.

A `Check` takes a value and its `Place` (path and error code) and returns the checked value; the
first fault raises. Checks compose: `array(string)`, `struct(...)`. The wording follows the
`deserr` crate (errors/json.rs) as Meilisearch 1.50 uses it. Knows nothing of settings, searches or
keys.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from rapidfuzz.distance import DamerauLevenshtein

from miroir.node.errors import ApiError
from miroir.node.json_text import encode_text

U64_MAX: Final = 2**64 - 1
I64_MIN: Final = -(2**63)

_ORDER: Final = (
    "null", "boolean", "integer", "negative", "float", "string", "array", "object",
)  # fmt: skip
_KINDS: Final = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "a positive integer",
    "negative": "a negative integer",
    "float": "a number",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}


@dataclass(frozen=True)
class Place:
    """Where a value stands (`.queries[0].q`) and which code a fault in it has."""

    code: str = "bad_request"
    path: str = ""

    def key(self, name: str, code: str | None = None) -> "Place":
        """Return the place of a member."""
        return Place(code or self.code, f"{self.path}.{name}")

    def item(self, index: int) -> "Place":
        """Return the place of an array element."""
        return replace(self, path=f"{self.path}[{index}]")

    def _where(self, word: str) -> str:
        return f" {word} `{self.path}`" if self.path else ""

    def wrong_type(self, value: Any, expected: str) -> ApiError:
        """Return the fault `expected an array, but found a string`."""
        return ApiError(
            self.code,
            f"Invalid value type{self._where('at')}: expected {expected}, "
            f"but found {described(value)}",
        )

    def invalid(self, reason: str) -> ApiError:
        """Return the fault of a value of the right type."""
        return ApiError(self.code, f"Invalid value{self._where('at')}: {reason}")

    def unknown_value(self, value: str, accepted: list[str]) -> ApiError:
        """Return the fault of a string that is not one of a list."""
        return ApiError(
            self.code,
            f"Unknown value `{value}`{self._where('at')}: "
            f"{did_you_mean(value, accepted)}expected one of {listed(accepted)}",
        )

    def unknown_key(self, key: str, accepted: list[str]) -> ApiError:
        """Return the fault of a member that the object does not have."""
        return ApiError(
            self.code,
            f"Unknown field `{key}`{self._where('inside')}: "
            f"{did_you_mean(key, accepted)}expected one of {listed(accepted)}",
        )

    def missing(self, key: str, code: str | None = None) -> ApiError:
        """Return the fault of a required member that is not there."""
        return ApiError(code or self.code, f"Missing field `{key}`{self._where('inside')}")


Check: TypeAlias = Callable[[Any, Place], Any]


def kind_of(value: Any) -> str:
    """Return which kind of JSON value this is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if I64_MIN <= value < 0:
            return "negative"
        return "integer" if 0 <= value <= U64_MAX else "float"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"


def described(value: Any) -> str:
    """Return `a string: `"doggo"``."""
    kind = kind_of(value)
    return "null" if kind == "null" else f"{_KINDS[kind]}: `{encode_text(value)}`"


def listed(names: Iterable[str]) -> str:
    """Return the names in back quotes, joined by commas."""
    return ", ".join(f"`{name}`" for name in names)


def did_you_mean(received: str, accepted: list[str]) -> str:
    """Return `did you mean `x`? ` when one accepted name is near enough, else nothing."""
    length = len(received.encode())
    allowed = next((typos for limit, typos in _TYPOS if length <= limit), 5)
    near = [(DamerauLevenshtein.distance(received, name), name) for name in accepted]
    near = [(distance, name) for distance, name in near if distance <= allowed]
    if not allowed or not near:
        return ""
    return f"did you mean `{min(near, key=lambda found: found[0])[1]}`? "


_TYPOS: Final = ((3, 0), (7, 1), (12, 2), (17, 3), (24, 4))


def anything(value: Any, place: Place) -> Any:  # noqa: ARG001  a Check takes both
    """Accept every value."""
    return value


def string(value: Any, place: Place) -> str:
    """Accept a string."""
    if isinstance(value, str):
        return value
    raise place.wrong_type(value, "a string")


def boolean(value: Any, place: Place) -> bool:
    """Accept true and false."""
    if isinstance(value, bool):
        return value
    raise place.wrong_type(value, "a boolean")


def number(value: Any, place: Place) -> float:
    """Accept any number."""
    if kind_of(value) in {"integer", "negative", "float"}:
        return float(value)
    raise place.wrong_type(value, "a number")


def unsigned(count_max: int = U64_MAX) -> Check:
    """Accept an integer from 0 to `count_max`."""

    def check(value: Any, place: Place) -> int:
        if kind_of(value) != "integer":
            raise place.wrong_type(value, "a positive integer")
        if value > count_max:
            reason = f"value: `{value}` is too large to be deserialized, "
            raise place.invalid(reason + f"maximum value authorized is `{count_max}`")
        return int(value)

    return check


def non_zero(value: Any, place: Place) -> int:
    """Accept an integer from 1."""
    checked: int = unsigned()(value, place)
    if checked == 0:
        reason = f"a non-zero integer value lower than `{U64_MAX}` was expected"
        raise place.invalid(f"{reason}, but found a zero")
    return checked


def one_of(*accepted: str) -> Check:
    """Accept one of the given strings."""
    names = list(accepted)

    def check(value: Any, place: Place) -> str:
        text = string(value, place)
        if text not in names:
            raise place.unknown_value(text, names)
        return text

    return check


def array(item: Check) -> Check:
    """Accept an array whose elements pass `item`."""

    def check(value: Any, place: Place) -> list[Any]:
        if not isinstance(value, list):
            raise place.wrong_type(value, "an array")
        return [item(element, place.item(index)) for index, element in enumerate(value)]

    return check


def mapping(item: Check) -> Check:
    """Accept an object with free keys whose values pass `item`."""

    def check(value: Any, place: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise place.wrong_type(value, "an object")
        return {key: item(member, place.key(key)) for key, member in value.items()}

    return check


def nullable(check: Check) -> Check:
    """Accept null, or what `check` accepts."""

    def maybe(value: Any, place: Place) -> Any:
        return None if value is None else check(value, place)

    return maybe


@dataclass(frozen=True)
class Member:
    """
    One member of a `struct`.

    Attributes:
        check: What its value must pass.
        code: The error code of faults in it; None means the struct's own.
        required: Whether it must be there.
        missing_code: The error code when it is not there.
    """

    check: Check
    code: str | None = None
    required: bool = False
    missing_code: str | None = None


@dataclass(frozen=True)
class Struct:
    """An object with known members. `unknown` may word the refusal of others."""

    members: Mapping[str, Member]
    ignore_unknown: bool = False
    unknown: Callable[[str, list[str], Place], ApiError] = field(
        default=lambda key, accepted, place: place.unknown_key(key, accepted)
    )

    def __call__(self, value: Any, place: Place) -> dict[str, Any]:
        """Return the checked members, in the order of the value."""
        if not isinstance(value, dict):
            raise place.wrong_type(value, "an object")
        checked = {}
        for key, member in value.items():
            known = self.members.get(key)
            if known is not None:
                checked[key] = known.check(member, place.key(key, known.code))
            elif not self.ignore_unknown:
                raise self.unknown(key, list(self.members), place)
        for key, known in self.members.items():
            if known.required and key not in checked:
                raise place.missing(key, known.missing_code)
        return checked


def struct(**members: Member) -> Struct:
    """Return a `Struct` with these members and no others."""
    return Struct(members)

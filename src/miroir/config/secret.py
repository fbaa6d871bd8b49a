"""
Secrets: given by reference only, and held so that they cannot be printed by accident.

A file of configuration is read, shared, committed and backed up by many; it may say where a
secret is (`{env: NAME}` or `{file: PATH}`) but never what it is. No message of this file contains
a secret or a part of one.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, InstanceOf, ValidationInfo
from pydantic_core import PydanticCustomError

MASK: Final = "***"
_REMEDY: Final = "write {env: NAME} or {file: PATH}"
_FILE_BYTES_MAX: Final = 64 * 1024


class Secret:
    """
    A text that prints as `***`; `reveal` gives it out.

    Equality takes the same time wherever the texts differ.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself. Not for logs, errors, labels or reprs."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not pickled or copied into files")

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Secret":
        return self


@dataclass(frozen=True)
class Surroundings:
    """
    What references are resolved against.

    Attributes:
        environ: The process environment.
        folder: Where relative paths start: the folder of the file, else the working directory.
    """

    environ: Mapping[str, str]
    folder: Path


def _resolve(value: object, info: ValidationInfo) -> object:
    if value is None or isinstance(value, Secret):
        return value
    if not isinstance(value, Mapping):
        raise _fault(f"a secret must not be written here; {_REMEDY}")
    if len(value) != 1 or not set(value) <= {"env", "file"}:
        raise _fault(f"not a reference to a secret; {_REMEDY}")
    surroundings = info.context
    assert isinstance(surroundings, Surroundings)
    ((kind, target),) = value.items()
    if not isinstance(target, str) or not target:
        raise _fault(f"`{kind}` must be a text; {_REMEDY}")
    if kind == "env":
        return _from_environment(target, surroundings.environ)
    return _from_file(surroundings.folder / target)


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    text = environ.get(name)
    if text is None:
        raise _fault(f"environment variable {name} is not set; export it, or use {{file: PATH}}")
    if not text:
        raise _fault(f"environment variable {name} is empty; give it a value, or unset it")
    return Secret(text)


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        raise _fault(f"{path}: {why}; make the file readable for this user") from error
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise _fault(f"{path}: not UTF-8; write the secret as plain text") from error
    if not text or len(content) > _FILE_BYTES_MAX or "\n" in text:
        raise _fault(f"{path}: must hold the secret alone, on one line")
    return Secret(text)


def _fault(message: str) -> PydanticCustomError:
    # The message travels as a value: braces in it are text, not fields.
    return PydanticCustomError("miroir", "{said}", {"said": message})


SecretRef = Annotated[InstanceOf[Secret] | None, BeforeValidator(_resolve)]

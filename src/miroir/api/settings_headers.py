"""
Headers of settings requests: which version a client has seen, who asks, and why.

Entity tags are those of RFC 9110, sections 8.8.3 and 13.1: `ETag: "12"` is settings version 12 of
the index, on the whole object and on every sub-route. `If-Match` compares strongly, so a weak tag
never matches; `If-None-Match` compares weakly. Notes go into history and logs: one line of plain
text, with a limit.
"""

import re
import unicodedata
from typing import Final

from miroir.api.http import Reply, Request
from miroir.errors import InvalidNote, InvalidPrecondition
from miroir.services.cluster import IndexView
from miroir.services.registrar import Base

VERSION_HEADER: Final = "X-Miroir-Settings-Version"
BY_CHARACTERS_MAX: Final = 100
REASON_CHARACTERS_MAX: Final = 500
_TAG: Final = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)')
_ANY: Final = "*"


def version_headers(index: IndexView) -> dict[str, str]:
    """Return what says which version an answer shows."""
    version = str(index.record.version)
    return {VERSION_HEADER: version, "ETag": f'"{version}"'}


def base_of(request: Request) -> Base | None:
    """
    Return the settings that a write was made for, by `If-Match`; None without the header.

    Raises:
        InvalidPrecondition: It is neither `*` nor a list of entity tags.
    """
    text = request.header_list("if-match")
    if text is None:
        return None
    if text.strip() == _ANY:
        return Base(text)
    return Base(text, frozenset(tag for weak, tag in _tags("If-Match", text) if not weak))


def not_modified(request: Request, index: IndexView) -> Reply | None:
    """
    Return the 304 that `If-None-Match` asks for, or None if there is something to be sent.

    Raises:
        InvalidPrecondition: It is neither `*` nor a list of entity tags.
    """
    text = request.header_list("if-none-match")
    if text is None:
        return None
    known = text.strip() == _ANY or str(index.record.version) in {
        tag for _, tag in _tags("If-None-Match", text)
    }
    return Reply(304, headers=version_headers(index)) if known else None


def by_of(request: Request) -> str:
    """
    Return who asks: `X-Miroir-By`, else `client`.

    Raises:
        InvalidNote: Too long, or no line of plain text.
    """
    return _note(request, "X-Miroir-By", BY_CHARACTERS_MAX) or "client"


def reason_of(request: Request) -> str:
    """Return why: `X-Miroir-Reason`, else nothing; `InvalidNote` as with `by_of`."""
    return _note(request, "X-Miroir-Reason", REASON_CHARACTERS_MAX)


def check_note(place: str, text: str, characters_max: int) -> str:
    """
    Return a note without the spaces around it.

    Raises:
        InvalidNote: Too long, or no line of plain text.
    """
    note = text.strip()
    if len(note) > characters_max:
        raise InvalidNote(f"`{place}` is longer than {characters_max} characters.")
    # Categories C*: control, format (also what turns the direction of writing), unassigned; Zl
    # and Zp end a line.
    if any(unicodedata.category(c)[0] == "C" or unicodedata.category(c) in _ENDS for c in note):
        raise InvalidNote(f"`{place}` has characters that are not part of one line of plain text.")
    return note


_ENDS: Final = frozenset({"Zl", "Zp"})


def _note(request: Request, name: str, characters_max: int) -> str:
    text = request.header(name.lower())
    if text is None:
        return ""
    try:
        text = text.encode("latin-1").decode()  # HTTP says nothing of it; clients send UTF-8.
    except UnicodeDecodeError:
        raise InvalidNote(f"`{name}` is not UTF-8.") from None
    return check_note(name, text, characters_max)


def _tags(name: str, text: str) -> list[tuple[bool, str]]:
    """Return (weak, opaque tag) of every tag in a list."""
    tags: list[tuple[bool, str]] = []
    at = 0
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None:
            break
        if found[2] is not None:
            tags.append((found[1] is not None, found[2]))
        at = found.end()
    if at < len(text) or not tags:
        raise InvalidPrecondition(
            f'`{name}: {text}` is neither `*` nor a list of entity tags like `"12"`.'
        )
    return tags

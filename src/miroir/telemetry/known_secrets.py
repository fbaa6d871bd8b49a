"""
Texts that nobody may hear from Miroir, whoever says them.

Engines quote what they were sent, and embedding servers quote keys that they refuse. So what a
node says when it says no is looked through where it comes in (`adapters/http_pool.py`,
`adapters/node_control.py`), before it gets into a task, the store or an answer; and whatever is
logged once more where it goes out (`logs.py`). Secrets of the configuration are known for ever;
those of settings are learnt from the store and when they are sent, the newest `_LEARNT_MAX`.

What in settings is a secret is said in `core/secret_places.py`, never here.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

import orjson

MASK: Final = "***"
_OWN_CHARS_MIN: Final = 4
_LEARNT_CHARS_MIN: Final = 8
"""Shorter texts would blot out ordinary words; what clients call a key may be one."""
_LEARNT_MAX: Final = 4096
_KEY: Final = re.compile("(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
"""The value of an API key. There may be thousands of them, and few of all others: these are found
by their form, or each error would be searched as often as there are keys."""


class KnownSecrets:
    """
    Takes secrets out of texts.

    Args:
        own: Those of the configuration.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._own = tuple(text for text in own if len(text) >= _OWN_CHARS_MIN)
        self._learnt: dict[str, None] = {}
        self._keys: dict[str, None] = {}
        self._forms: tuple[str, ...] | None = None

    def learn(self, texts: Iterable[str]) -> None:
        """Know these, too; beyond the maximum those that were learnt longest ago are forgotten."""
        for text in texts:
            if _KEY.fullmatch(text):
                _add(self._keys, text)
            elif len(text) >= _LEARNT_CHARS_MIN and _add(self._learnt, text):
                self._forms = None

    def out_of(self, text: str) -> str:
        """Return a text without them."""
        if self._keys:
            text = _KEY.sub(self._unless_known, text)
        for form in self._found():
            if form in text:
                text = text.replace(form, MASK)
        return text

    def out_of_body(self, body: bytes) -> bytes:
        """Return the body of an answer without them."""
        text = body.decode(errors="surrogateescape")
        clean = self.out_of(text)
        return body if clean == text else clean.encode(errors="surrogateescape")

    def _unless_known(self, found: re.Match[str]) -> str:
        return MASK if found[0] in self._keys else found[0]

    def _found(self) -> tuple[str, ...]:
        if self._forms is None:
            forms = {form for text in (*self._own, *self._learnt) for form in _forms(text)}
            # One that is part of another must not leave the rest of it standing.
            self._forms = tuple(sorted(forms, key=len, reverse=True))
        return self._forms


def _add(known: dict[str, None], text: str) -> bool:
    """Make a text the newest; whether it was not known."""
    is_new = known.pop(text, known) is known
    known[text] = None
    if len(known) > _LEARNT_MAX:
        del known[next(iter(known))]
    return is_new


def _forms(text: str) -> Iterator[str]:
    """Yield a text as it stands in a sentence, in JSON, and in a URL."""
    yield text
    yield orjson.dumps(text).decode()[1:-1]
    yield quote(text, safe="")

"""
Normal forms of words in settings.

`stop_word` keeps case and accents (decomposed), as Meilisearch's non-lossy normalisation does;
`plain` folds both, as its lossy one does. Source: charabia 0.9.9, normalizer/mod.rs.
"""

import unicodedata
from typing import Final

# Applied to every word, whatever its language: the setting is normalised without one.
_PERSIAN: Final = str.maketrans({
    "ي": "ی", "ى": "ی", "ۀ": "ی", "ك": "ک", "،": ",", "؟": "?", "\u200c": None,
    **{chr(0x6F0 + digit): str(digit) for digit in range(10)},
})  # fmt: skip


def stop_word(word: str) -> str:
    """Return a stop word as it is stored."""
    text = unicodedata.normalize("NFKD", word)
    text = "".join(char for char in text if char.isspace() or unicodedata.category(char) != "Cc")
    return text.translate(_PERSIAN)


def plain(text: str) -> str:
    """Return a text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(char for char in decomposed if unicodedata.category(char) not in {"Mn", "Cc"})

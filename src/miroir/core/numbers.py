"""Numbers in text as nodes read them (Rust's `str::parse` of unsigned integers)."""

import re
from typing import Final

U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
_INTEGER: Final = re.compile(r"[+]?[0-9]+")


def unsigned(text: str, most: int = U64_MAX) -> int | None:
    """Return a whole number from 0 to `most`, perhaps with a plus; None for anything else."""
    if not _INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+").lstrip("0")
    if len(digits) > len(str(most)):
        return None  # Python refuses to read very long numbers.
    value = int(digits or "0")
    return value if value <= most else None

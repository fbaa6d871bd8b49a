"""Sizes for people: `4 KiB`, `1.25 MiB`."""

from typing import Final

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


def human_size(size_bytes: int) -> str:
    """Return a size in the largest unit of which it has at least one."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    value = float(size_bytes)
    unit = ""
    for unit in _UNITS:  # noqa: B007  the last one is used below
        value /= 1024
        if value < 1024:
            break
    return f"{value:.2f}".rstrip("0").rstrip(".") + f" {unit}"

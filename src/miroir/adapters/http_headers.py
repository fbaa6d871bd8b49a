"""
Headers of an answer, decoded when somebody looks: on the hot path almost nobody does.

Pure. Nothing but this mapping belongs here.
"""

from collections.abc import Iterator, Mapping


class Headers(Mapping[str, str]):
    """Headers by lower-case name; of a repeated one the last."""

    __slots__ = ("raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        """Take headers by lower-case name, values as they came."""
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        try:
            value = self.raw[name.encode()]
        except KeyError:
            raise KeyError(name) from None
        return value.decode("latin-1").strip()

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return repr(dict(self))

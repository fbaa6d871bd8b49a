"""Whoever is told of ended tasks, as the services see it."""

from collections.abc import Mapping
from typing import Protocol


class Receivers(Protocol):
    """Reaches any URL."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """
        POST a body; None when the receiver has taken it (2xx), else why not, in words.

        Raises nothing: whatever goes wrong out there is an answer. Nothing is sent twice by one
        call. The words hold no part of the URL, of the headers, or of the answer.
        """
        ...

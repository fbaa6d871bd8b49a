"""Calls side by side."""

import asyncio

import pytest

from miroir.errors import NoCoveringSet
from miroir.services.side_by_side import side_by_side


async def give(value: int) -> int:
    return value


async def fail(error: Exception) -> int:
    raise error


async def never(ended: list[str]) -> int:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")
    return 0


def test_results_come_in_the_order_of_the_calls():
    """Whoever asked first is answered first."""

    async def run() -> list[int]:
        return await side_by_side(give(1), give(2), give(3))

    assert asyncio.run(run()) == [1, 2, 3]


def test_an_error_comes_as_itself_and_ends_the_other_calls():
    """An error of ours becomes an answer only if it is not wrapped in a group."""
    ended: list[str] = []

    async def run() -> None:
        with pytest.raises(NoCoveringSet, match="first"):
            await side_by_side(
                never(ended), fail(NoCoveringSet("first")), fail(ValueError("second"))
            )

    asyncio.run(run())
    assert ended == ["cancelled"]

"""
Hybrid searches over several shards, in one round or two.

    keywords, of every shard ─▶ good enough: answered
                             └─▶ by meaning, of every shard ─▶ merged by core.merge.hybrid

Nodes that have to compute the query's vector are asked for it only if the keywords do not do, as
one node does it; where the client brought the vector, both rounds are one. Both must be answered
at one settings version, or they are taken again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from miroir.core import merge
from miroir.core.merge import CannotMerge, HybridPlan
from miroir.errors import CannotBeMerged, SettingsVersionStale
from miroir.services.scatter import Gathered
from miroir.services.side_by_side import side_by_side

_ATTEMPTS_MAX: Final = 3

Ask = Callable[[Mapping[str, Any]], Awaitable[Gathered]]
"""Asks every shard for one search."""


async def search_hybrid(plan: HybridPlan, ask: Ask) -> tuple[Gathered, bytes | None]:
    """
    Return what was gathered and the merged body; None: it holds a refusal.

    Raises:
        CannotBeMerged: It cannot be answered exactly over several shards.
        SettingsVersionStale: The settings changed between two rounds, again and again.
        Unavailable: See `Scatter.ask`.
    """
    for _ in range(_ATTEMPTS_MAX):
        keywords, meaning = await _rounds(plan, ask)
        for gathered in (keywords, meaning):
            if gathered is not None and gathered.refusal is not None:
                return gathered, None
        said = keywords if meaning is None or keywords.inconsistent else meaning
        if meaning is None or said.inconsistent or keywords.version == meaning.version:
            return said, _merged(keywords, meaning, plan)
    raise SettingsVersionStale("the settings changed while the nodes answered")


async def _rounds(plan: HybridPlan, ask: Ask) -> tuple[Gathered, Gathered | None]:
    """Return both lists, or the keywords alone: they are good enough, or a refusal."""
    if plan.brings_vector:
        both = [_of(ask, plan.keywords), _of(ask, plan.meaning)]
        keywords, meaning = await side_by_side(*both)
        if keywords.refusal is not None or meaning.refusal is not None:
            return keywords, meaning
        return keywords, None if merge.good_enough(_bodies(keywords), plan) else meaning
    keywords = await ask(plan.keywords)
    if keywords.refusal is not None or merge.good_enough(_bodies(keywords), plan):
        return keywords, None
    return keywords, await ask(plan.meaning)


async def _of(ask: Ask, body: Mapping[str, Any]) -> Gathered:
    return await ask(body)


def _merged(keywords: Gathered, meaning: Gathered | None, plan: HybridPlan) -> bytes:
    second = None if meaning is None else _bodies(meaning)
    merged = merge.merge_hybrid(_bodies(keywords), second, plan, str(uuid4()))
    if isinstance(merged, CannotMerge):
        raise CannotBeMerged(merged.reason)
    return merged


def _bodies(gathered: Gathered) -> list[bytes]:
    return [reply.body for reply in gathered.replies]

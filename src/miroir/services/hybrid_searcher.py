"""
Hybrid searches over several shards, in one round or more.

    keywords, of every shard ─▶ good enough: answered
                             └─▶ by meaning, of every shard ─▶ merged by core.merge.hybrid
                              └─▶ what keywords are compared by, where their hits do not show it

Nodes that have to compute the query's vector are asked for it only if the keywords do not do, as
one node does it; where the client brought the vector, both rounds are one. All must be answered
at one settings version, or they are taken again.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec

from miroir.core import merge
from miroir.core.merge import CannotMerge, HybridPlan
from miroir.errors import CannotBeMerged, SettingsVersionStale
from miroir.ports.node import NodeReply
from miroir.services.scatter import Gathered
from miroir.services.side_by_side import side_by_side

_ATTEMPTS_MAX: Final = 3

Ask = Callable[[Mapping[str, Any]], Awaitable[Gathered]]
"""Asks every shard for one search."""


AskRanked = Callable[[HybridPlan], Awaitable[Gathered | None]]
"""Asks every shard for what hits by keywords are compared by; None: nodes do not tell."""


class Rounds(msgspec.Struct, frozen=True):
    """
    What nodes have answered.

    Attributes:
        meaning: None: the keywords are good enough, or a refusal.
        ranked: None: hits show what they are compared by, or nodes do not tell it.
    """

    keywords: Gathered
    meaning: Gathered | None = None
    ranked: Gathered | None = None

    @property
    def all(self) -> list[Gathered]:
        """Every round that was taken."""
        return [r for r in (self.keywords, self.meaning, self.ranked) if r is not None]


async def search_hybrid(
    plan: HybridPlan, ask: Ask, ask_ranked: AskRanked
) -> tuple[Gathered, bytes | None]:
    """
    Return what was gathered and the merged body; None: it holds a refusal.

    Raises:
        CannotBeMerged: It cannot be answered exactly over several shards.
        SettingsVersionStale: The settings changed between two rounds, again and again.
        Unavailable: See `Scatter.ask`.
    """
    for _ in range(_ATTEMPTS_MAX):
        rounds = await _rounds(plan, ask, ask_ranked)
        refused = next((r for r in rounds.all if r.refusal is not None), None)
        if refused is not None:
            return refused, None
        said = next((r for r in rounds.all if r.inconsistent), rounds.all[-1])
        if said.inconsistent or len({r.version for r in rounds.all}) == 1:
            return said, _merged(rounds, plan)
    raise SettingsVersionStale("the settings changed while the nodes answered")


async def _rounds(plan: HybridPlan, ask: Ask, ask_ranked: AskRanked) -> Rounds:
    meaning: Gathered | None = None
    if plan.brings_vector:
        both = [_of(ask, plan.keywords), _of(ask, plan.meaning)]
        keywords, meaning = await side_by_side(*both)
        if meaning.refusal is not None:
            return Rounds(keywords, meaning)
    else:
        keywords = await ask(plan.keywords)
    if keywords.refusal is not None or merge.good_enough(_bodies(keywords), plan):
        return Rounds(keywords)
    if meaning is None:
        meaning = await ask(plan.meaning)
    if meaning.refusal is not None or plan.ranked is None:
        return Rounds(keywords, meaning)
    return Rounds(keywords, meaning, await ask_ranked(plan))


async def _of(ask: Ask, body: Mapping[str, Any]) -> Gathered:
    return await ask(body)


def _merged(rounds: Rounds, plan: HybridPlan) -> bytes:
    meaning = None if rounds.meaning is None else _bodies(rounds.meaning)
    told = None if rounds.ranked is None else merge.told_of(_bodies(rounds.ranked), plan)
    merged = merge.merge_hybrid(_bodies(rounds.keywords), meaning, plan, str(uuid4()), told=told)
    if isinstance(merged, CannotMerge):
        raise CannotBeMerged(merged.reason)
    return merged


def _bodies(gathered: Gathered) -> list[bytes]:
    return [reply.body for reply in gathered.replies]


def lacks_feature(refusal: NodeReply | None) -> bool:
    """Whether a node said no because an experimental feature is off."""
    return refusal is not None and b'"feature_not_enabled"' in refusal.body

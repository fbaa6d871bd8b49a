"""
Puts golden queries to the half of the nodes that has a change, and to the half that serves.

What must hold of the answers is judged in `core/canary.py`. The searches are merged like any
other, by the settings that each half has. Nobody else is answered by the changed half meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from miroir.core import canary as rules
from miroir.core.topology import NodeId
from miroir.errors import CanaryFailed, MiroirError
from miroir.ports.clock import Clock
from miroir.ports.records import Intent
from miroir.services.searcher import Searcher, SearchRequest
from miroir.services.view import IndexView

_TRIES_MAX: Final = 3
_FAULTS_SHOWN_MAX: Final = 5


@dataclass(frozen=True)
class _Half:
    """Whom to ask, and by which settings they answer; no nodes = whoever serves."""

    index: IndexView
    nodes: frozenset[NodeId] | None


class Canaries:
    """Asks golden queries."""

    def __init__(self, *, searcher: Searcher, clock: Clock) -> None:
        self._searcher = searcher
        self._clock = clock

    async def judged(
        self, intent: Intent, index: IndexView, node_ids: tuple[NodeId, ...]
    ) -> Mapping[str, Any] | None:
        """
        Put the queries of an intent; return the error that ends it, or None if all holds.

        Args:
            intent: Its canary is what is asked, its `target` what the nodes have.
            index: As it is in force.
            node_ids: The verified nodes; they hold every shard.
        """
        assert intent.care.canary is not None
        canary = rules.read(intent.care.canary)
        changed = replace(index, record=replace(index.record, settings=intent.target))
        serving, asked = _Half(index, None), _Half(changed, frozenset(node_ids))
        outcomes = [await self._outcome(query, serving, asked) for query in canary.queries]
        faults = rules.judge(canary, outcomes)
        if not faults:
            return None
        more = len(faults) - _FAULTS_SHOWN_MAX
        text = "; ".join(faults[:_FAULTS_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
        return CanaryFailed(f"The change was not made: golden queries do not hold: {text}.").body()

    async def _outcome(self, query: rules.Query, serving: _Half, changed: _Half) -> rules.Outcome:
        try:
            before = await self._ids(query, serving)
        except MiroirError:
            before = ()  # Not possible until now, e.g. by an attribute that becomes filterable.
        tries = _TRIES_MAX if query.max_ms is not None else 1
        took_ms, after = float("inf"), tuple[str, ...]()
        for _ in range(tries):
            began_s = self._clock.monotonic_s()
            try:
                after = await self._ids(query, changed)
            except MiroirError as refusal:
                return rules.Outcome(before, None, refusal=refusal.message)
            took_ms = min(took_ms, (self._clock.monotonic_s() - began_s) * 1000)
        return rules.Outcome(before, after, took_ms)

    async def _ids(self, query: rules.Query, half: _Half) -> tuple[str, ...]:
        """Return the ids of the first hits, as text."""
        key = half.index.record.primary_key
        if key is None:
            return ()  # No document has ever been added.
        body = {**query.search, "limit": query.top, "attributesToRetrieve": [key]}
        answer = await self._searcher.search(_request(half, body))
        found = orjson.loads(answer.body)
        if answer.status >= 400:
            raise CanaryFailed(str(found.get("message", answer.status)))
        return tuple(str(_at(hit, key)) for hit in found["hits"])


def _request(half: _Half, body: Mapping[str, Any]) -> SearchRequest:
    return SearchRequest(
        index=half.index,
        method="POST",
        query_string="",
        body=orjson.dumps(body),
        content_type="application/json",
        authorization=None,
        floor=None,
        headers={},
        only=half.nodes,
    )


def _at(hit: Mapping[str, Any], key: str) -> Any:
    """Return the primary key of a hit, also of a nested one `a.b`."""
    if key in hit:
        return hit[key]
    head, _, rest = key.partition(".")
    if rest and isinstance(hit.get(head), dict):
        return _at(hit[head], rest)
    raise CanaryFailed(f"the primary key `{key}` is not among the displayed attributes")

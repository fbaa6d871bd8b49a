"""
Admin routes: wanted changes, open or closed, with their error and what each node did.

Refused and aborted ones are no versions of the settings: they are found here and nowhere else. Of
an open one the nodes are asked how far they are.
"""

from collections.abc import Mapping
from typing import Final

from miroir.api.admin_views import intent_view
from miroir.api.edge import Edge
from miroir.api.http import Reply, Request, reply_json
from miroir.api.parameters import check_names, index_uid, listed, number, one_of
from miroir.api.router import Access, Route
from miroir.core.broadcast_types import CLOSED_PHASES, Phase
from miroir.core.numbers import U32_MAX, unsigned
from miroir.core.topology import NodeId
from miroir.errors import IntentNotFound, IntentNotWithdrawable
from miroir.ports.records import Intent, IntentQuery
from miroir.services.swaps import needed_and_down

PAGE_MAX: Final = 1000
_CODE: Final = "bad_request"
_OPEN: Final = tuple(phase.value for phase in Phase if phase not in CLOSED_PHASES)
_CLOSED: Final = tuple(phase.value for phase in Phase if phase in CLOSED_PHASES)
_STATES: Final = ("open", "closed", *_OPEN, *_CLOSED)


def routes(edge: Edge) -> tuple[Route, ...]:
    """Return the rows of these routes."""
    intents = AdminIntents(edge)
    return (
        Route("GET", "/_miroir/intents", intents.find, Access.ADMIN),
        Route("GET", "/_miroir/intents/{id}", intents.one, Access.ADMIN),
        Route("POST", "/_miroir/intents/{id}/cancel", intents.cancel, Access.ADMIN),
    )


class AdminIntents:
    """Shows intents from the store."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def find(self, request: Request, _named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/intents?limit=&from=&index=&state=`: newest first."""
        query = request.query
        check_names(query, ("limit", "from", "index", "state"))
        limit = min(number(query, "limit", 20, _CODE, most=U32_MAX), PAGE_MAX)
        states = listed(query, "state", one_of(_CODE, "intent state", _STATES))
        wanted = IntentQuery(
            limit=limit + 1,
            from_id=number(query, "from", 0, _CODE) if "from" in query else None,
            index_uids=listed(query, "index", index_uid) or (),
            phases=_phases(states or ()),
        )
        store = self._edge.store
        found = await store.find_intents(wanted)
        page, rest = found[:limit], found[limit:]
        tasks = await store.intent_tasks(tuple(intent.intent_id for intent in page))
        now = await self._edge.progress.of(page)
        body = {
            "results": [
                intent_view(i, tasks.get(i.intent_id, ()), now, self._waits_for(i)) for i in page
            ],
            "limit": limit,
            "from": page[0].intent_id if page else None,
            "next": rest[0].intent_id if rest else None,
        }
        return reply_json(body)

    async def one(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`GET /_miroir/intents/{id}`."""
        return await self._shown(await self._found(named["id"]))

    async def cancel(self, _request: Request, named: Mapping[str, str]) -> Reply:
        """`POST /_miroir/intents/{id}/cancel`: only while no node has been asked for anything."""
        intent = await self._found(named["id"])
        said = f"Intent `{intent.intent_id}`"
        if intent.state.closed:
            raise IntentNotWithdrawable(f"{said} has ended ({intent.state.phase.value}).")
        if intent.task_uid is None:
            raise IntentNotWithdrawable(f"{said} is Miroir's own: no client has asked for it.")
        if not await self._edge.keeper.withdraw(intent.intent_id):
            asked = ", ".join(intent.state.nodes) or "its nodes"
            raise IntentNotWithdrawable(
                f"{said} has begun: {asked} may have done what was asked. It goes on to its end."
            )
        return await self._shown(await self._found(named["id"]))

    async def _found(self, named: str) -> Intent:
        intent_id = unsigned(named, U32_MAX)
        query = IntentQuery(limit=1, ids=(intent_id or 0,))
        found = await self._edge.store.find_intents(query)
        if not found:
            raise IntentNotFound(f"Intent `{named}` not found.")
        return found[0]

    async def _shown(self, intent: Intent) -> Reply:
        tasks = await self._edge.store.intent_tasks((intent.intent_id,))
        now = await self._edge.progress.of((intent,))
        own = tasks.get(intent.intent_id, ())
        return reply_json(intent_view(intent, own, now, self._waits_for(intent)))

    def _waits_for(self, intent: Intent) -> tuple[NodeId, ...]:
        """Return the nodes without which a swap cannot go on, and which do not answer."""
        if intent.state.closed or not intent.kind.moves_indexes:
            return ()
        return needed_and_down(self._edge.cluster.view, intent.index_uids)


def _phases(states: tuple[str, ...]) -> tuple[str, ...]:
    several = {"open": _OPEN, "closed": _CLOSED}
    return tuple(phase for state in states for phase in several.get(state, (state,)))

"""
A dialogue with the broadcast machine: `>>` sends an event, `<<` expects the orders it causes.

Between every two steps the state goes through JSON, as it does through the store: whatever the
machine needs later must be in there.
"""

from typing import Self

import msgspec

from miroir.core.broadcast import step
from miroir.core.broadcast_messages import Command, Event
from miroir.core.broadcast_types import Broadcast, NodeState, Phase
from miroir.core.topology import NodeId

_DECODER = msgspec.json.Decoder(Broadcast)


def stored(state: Broadcast) -> Broadcast:
    """Return a state as the store gives it back."""
    again = _DECODER.decode(msgspec.json.encode(state))
    assert again == state, "the state does not survive the store"
    return again


class Playbook:
    """One change from its beginning to wherever the test leads it."""

    def __init__(self, state: Broadcast) -> None:
        self.state = state
        self._caused: list[Command] = []

    def __rshift__(self, event: Event) -> Self:
        """Send an event; whatever the one before it has caused must have been expected."""
        assert not self._caused, f"unexpected before {event}: {self._caused}"
        self.state, commands = step(stored(self.state), event)
        self._caused = list(commands)
        return self

    def __lshift__(self, expected: Command | set[Command]) -> Self:
        """Expect exactly these orders, in any order, none of them twice."""
        wanted = expected if isinstance(expected, set) else {expected}
        assert len(self._caused) == len(wanted), self._caused
        assert set(self._caused) == wanted
        self._caused = []
        return self

    def ignores(self, *events: Event) -> Self:
        """Expect that each of these events, sent now, changes and causes nothing."""
        assert not self._caused, f"unexpected: {self._caused}"
        for event in events:
            assert step(self.state, event) == (self.state, ()), event
        return self

    def is_in(self, phase: Phase, **nodes: NodeState) -> Self:
        """Expect the phase, and how far these nodes are."""
        assert not self._caused, f"unexpected: {self._caused}"
        assert self.state.phase is phase
        found = {name: self.state.nodes[NodeId(name)].state for name in nodes}
        assert found == nodes
        return self

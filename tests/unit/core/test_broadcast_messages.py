"""Every order is answered by an event of the same round, and both are plain values."""

import dataclasses
import typing

from miroir.core import broadcast_messages as m
from miroir.core.broadcast_messages import Command, Event


def test_messages_are_values():
    """They are compared, repeated and put into sets; a mutable one would tell two stories."""
    for kind in (*typing.get_args(Event), *typing.get_args(Command)):
        assert dataclasses.is_dataclass(kind)
        assert kind.__hash__ is not None


def test_what_belongs_to_a_round_says_so():
    """An answer to an older order must be told from one to the present order."""
    answers = [m.PatchAccepted, m.PatchRejected, m.PatchUnanswered, m.TaskEnded, m.Drained]
    orders = [m.ApplySettings, m.AwaitTask, m.ReadSettings, m.Drain, m.StartBackoff]
    for kind in [*answers, *orders, m.SettingsRead, m.ReadFailed, m.BackoffElapsed]:
        assert "round" in {field.name for field in dataclasses.fields(kind)}, kind

"""Changes with secrets: no node shows them, so that reading back proves only a part."""

from tests.support.playbook import Playbook

from miroir.core.broadcast_messages import (
    ApplySettings,
    AwaitTask,
    BackoffElapsed,
    Begin,
    CommitVersion,
    PatchAccepted,
    PatchUnanswered,
    Probe,
    Probed,
    ReadSettings,
    SettingsRead,
    StartBackoff,
    TaskEnded,
)
from miroir.core.broadcast_types import Broadcast, NodeState, Phase
from miroir.core.topology import IndexUid, NodeId

A, B = NodeId("a"), NodeId("b")
ERROR = {"code": "vector_embedding_error", "message": "no"}


def proposed(*, blind: bool) -> Playbook:
    """Both nodes have been sent the target."""
    change = Broadcast(IndexUid("m"), ((A, B),), ((A, B),), blind=blind)
    play = Playbook(change) >> Begin() << Probe() >> Probed({"1": "f"})
    return play << {ApplySettings(A, 1), ApplySettings(B, 1)}


def accepted(play: Playbook, node_id: NodeId, uid: int, round_: int) -> Playbook:
    return play >> PatchAccepted(node_id, round_, uid) << AwaitTask(node_id, uid, round_)


def test_a_node_that_failed_the_task_is_not_believed() -> None:
    """It shows what is wanted, and keeps the old key."""
    play = accepted(accepted(proposed(blind=True), A, 7, 1), B, 8, 1)
    play = play >> TaskEnded(A, 1) << set() >> TaskEnded(B, 1, ERROR)
    play = play << {ReadSettings(A, 1), ReadSettings(B, 1)}
    play = play >> SettingsRead(A, 1, "f", "1") << set() >> SettingsRead(B, 1, "f", "1")
    play = play << StartBackoff(1, 1)
    play.is_in(Phase.WAITING, a=NodeState.VERIFIED, b=NodeState.DIFFERENT)


def test_a_node_that_did_not_answer_is_asked_again_before_it_is_read() -> None:
    """The request may never have arrived, and nothing that can be read would tell."""
    play = accepted(proposed(blind=True), A, 7, 1)
    play = play >> TaskEnded(A, 1) << set() >> PatchUnanswered(B, 1) << ReadSettings(A, 1)
    play = play >> SettingsRead(A, 1, "f", "1") << StartBackoff(0, 1)
    play = play >> BackoffElapsed(1) << ApplySettings(B, 2)
    play = accepted(play, B, 9, 2) >> TaskEnded(B, 2) << {ReadSettings(A, 2), ReadSettings(B, 2)}
    play = play >> SettingsRead(A, 2, "f", "1") << set() >> SettingsRead(B, 2, "f", "1")
    play << CommitVersion()


def test_when_nobody_answered_nobody_is_read() -> None:
    """All are asked again."""
    play = proposed(blind=True) >> PatchUnanswered(A, 1) << set() >> PatchUnanswered(B, 1)
    play = play << StartBackoff(0, 1) >> BackoffElapsed(1)
    play << {ApplySettings(A, 2), ApplySettings(B, 2)}


def test_without_secrets_reading_back_is_enough() -> None:
    """A lost answer costs nothing where the settings themselves can be seen."""
    play = accepted(proposed(blind=False), A, 7, 1)
    play = play >> TaskEnded(A, 1) << set() >> PatchUnanswered(B, 1)
    play = play << {ReadSettings(A, 1), ReadSettings(B, 1)}
    play = play >> SettingsRead(A, 1, "f", "1") << set() >> SettingsRead(B, 1, "f", "1")
    play << CommitVersion()

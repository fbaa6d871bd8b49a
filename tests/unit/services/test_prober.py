"""What a client is told of a probe speaks of the client's own index."""

from miroir.core.topology import IndexUid
from miroir.ports.node import NodeReply
from miroir.services.prober import PROBE_INDEX, Verdict, said_of

MOVIES = IndexUid("movies")
REFUSED = NodeReply(400, {}, f'{{"message":"Index `{PROBE_INDEX}`: no such model"}}'.encode())


def test_a_refusal_names_the_clients_index() -> None:
    """The probe's index is an inner matter; nobody can find it in his own requests."""
    said = b'{"message":"Index `movies`: no such model"}'
    assert said_of(MOVIES, REFUSED).body == said
    told = Verdict(REFUSED).of(MOVIES).refusal
    assert told is not None
    assert (told.status, told.body) == (400, said)


def test_no_refusal_stays_none() -> None:
    """Most probes refuse nothing."""
    verdict = Verdict(expected={"1.50.0": "f"})
    assert verdict.of(MOVIES) == verdict

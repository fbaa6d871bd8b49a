"""Properties of `AnswerReader`: the network may cut an answer anywhere, and may send anything."""

from itertools import pairwise

from hypothesis import example, given, strategies as st

from miroir.adapters.http_answer import AnswerReader
from miroir.adapters.http_coding import AnswerBroken
from miroir.ports.node import NodeReply

NAMES = st.from_regex(r"x-[a-z]{1,8}", fullmatch=True)
VALUES = st.from_regex(r"([!-~]([ -~]{0,20}[!-~])?)?", fullmatch=True)
BODIES = st.binary(max_size=200)


@st.composite
def answers(draw):
    """Draw a valid answer as bytes, the reply it means, and whether the connection ends it."""
    status = draw(st.sampled_from([200, 202, 400, 404, 500]))
    headers = draw(st.dictionaries(NAMES, VALUES, max_size=5))
    body = draw(BODIES)
    interim = b"HTTP/1.1 100 Continue\r\nx-i: 1\r\n\r\n" * draw(st.integers(0, 2))
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    wire = dict(headers)
    if framing == "length":
        wire["content-length"] = str(len(body))
        sent = body
    elif framing == "chunked":
        wire["transfer-encoding"] = "chunked"
        sent = draw(chunked(body))
    else:
        sent = body
    lines = "".join(f"{name}: {value}\r\n" for name, value in wire.items())
    data = interim + f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode() + sent
    return data, NodeReply(status, wire, body), framing == "end"


@st.composite
def chunked(draw, body):
    sent, rest = b"", body
    while rest:
        size = draw(st.integers(1, len(rest)))
        extension = draw(st.sampled_from([b"", b";a=b"]))
        sent += b"%x%b\r\n%b\r\n" % (size, extension, rest[:size])
        rest = rest[size:]
    trailer = draw(st.sampled_from([b"", b"x-trailer: 1\r\n"]))
    return sent + b"0\r\n" + trailer + b"\r\n"


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(borders) if start < end]


def reader() -> AnswerReader:
    return AnswerReader(answer_bytes_max=1000, header_bytes_max=4000)


def read(subject: AnswerReader, pieces: list[bytes], ended: bool) -> NodeReply:
    subject.expect(head_only=False)
    replies = [subject.feed(piece) for piece in pieces]
    assert all(reply is None for reply in replies[:-1]), "an answer ends with its last byte"
    last = subject.end() if ended else replies[-1]
    assert last is not None
    return last


@given(answers(), st.lists(st.integers(0, 2000), max_size=12))
def test_an_answer_means_the_same_however_it_is_cut(answer, cuts):
    """TCP keeps no borders: what arrives at once today arrives in pieces under load."""
    data, reply, ended = answer
    assert read(reader(), pieces_of(data, cuts), ended) == reply
    single = [data[i : i + 1] for i in range(len(data))]
    assert read(reader(), single, ended) == reply


@given(st.lists(answers(), min_size=2, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_answers_on_one_connection_do_not_touch_each_other(several, cuts):
    """A header or a byte left over from the one before would be somebody else's data."""
    subject = reader()
    for data, reply, ended in several:
        assert read(subject, pieces_of(data, cuts), ended) == reply
        if ended:
            assert not subject.reusable
            return
        assert subject.reusable


@given(answers(), st.data())
def test_an_answer_that_is_cut_off_is_never_taken_for_a_whole_one(answer, data):
    """Half a list of hits that passes for all of them is worse than an error."""
    wire, reply, ended = answer
    kept = data.draw(st.integers(0, len(wire) - 1))
    subject = reader()
    subject.expect(head_only=False)
    try:
        taken = (subject.feed(wire[:kept]) if kept else None) or subject.end()
    except AnswerBroken:
        return
    assert ended, "only an answer that the connection ends can end early"
    assert reply.body.startswith(taken.body)


@given(answers(), st.integers(0, 2000), BODIES, st.lists(st.integers(0, 2000), max_size=4))
@example((b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None, False), 0, b"HTTP/1.1 1", [])
def test_damaged_bytes_give_a_reply_or_one_kind_of_error(answer, place, damage, cuts):
    """Any other exception would go past every handler and kill the connection's bookkeeping."""
    data = answer[0]
    place %= len(data) + 1
    subject = reader()
    subject.expect(head_only=False)
    try:
        for piece in pieces_of(data[:place] + damage + data[place + len(damage) :], cuts):
            if subject.feed(piece) is not None:
                return
        subject.end()
    except AnswerBroken:
        pass  # what it is there for

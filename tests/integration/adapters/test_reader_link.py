"""Messages between processes, over a real pair of sockets."""

import asyncio
import socket

from miroir.adapters.reader_link import ReaderLink, linked
from miroir.ports.reader import Confirmed, Counted, IndexSeen, Picture, ToMain, ToReader
from miroir.ports.records import IndexRecord

RECORD = IndexRecord(
    uid="films",
    primary_key="id",
    version=7,
    settings={"synonyms": {"a": ["b" * 300_000]}},
    fingerprints={"1.50.0": "f"},
    frozen_reason=None,
    deleted=False,
    created_at_ms=1,
    updated_at_ms=2,
)
PICTURE = Picture(
    number=3,
    healthy=frozenset({"n0", "n1"}),
    changed=(
        IndexSeen(
            uid="films",
            record=RECORD,
            proved={"n0": 7},
            out_of_sync={"n1": "it was away"},
            stirred={"n1": 2},
            in_flight=True,
            spared=frozenset({"n1"}),
        ),
    ),
    gone=("books",),
)
COUNTED = Counted(((("n0", "answered", 2),), {"n0": ((1, 1), 0.25)}), ((), {}))


async def pair():
    """Return both ends, and what each has heard."""
    here, there = socket.socketpair()
    heard_here, heard_there = [], []
    main = ReaderLink(ToMain, heard_here.append, lambda: heard_here.append("lost"))
    reader = ReaderLink(ToReader, heard_there.append, lambda: heard_there.append("lost"))
    await linked(main, here)
    await linked(reader, there)
    return main, heard_here, reader, heard_there


async def heard(messages, count):
    async with asyncio.timeout(5):
        while len(messages) < count:
            await asyncio.sleep(0.001)
    return messages


def test_messages_arrive_whole_and_in_order_whatever_their_size():
    """A picture of large settings comes in many pieces, and small ones come many at once."""

    async def scene():
        main, at_main, reader, at_reader = await pair()
        for number in range(100):
            main.send(Picture(number, frozenset()))
        main.send(PICTURE)
        reader.send(Confirmed(3))
        reader.send(COUNTED)
        assert await heard(at_reader, 101) == [
            *(Picture(n, frozenset()) for n in range(100)),
            PICTURE,
        ]
        assert await heard(at_main, 2) == [Confirmed(3), COUNTED]
        main.close()
        reader.close()

    asyncio.run(scene())


def test_the_end_of_the_other_side_is_told_once_and_nothing_can_be_said_to_it():
    """A reader has to end when the main process does; the main process has to go on."""

    async def scene():
        main, at_main, reader, at_reader = await pair()
        main.close()
        await heard(at_reader, 1)
        reader.send(Confirmed(1))
        await heard(at_main, 1)
        assert (at_main, at_reader) == (["lost"], ["lost"])

    asyncio.run(scene())


def test_what_is_no_message_ends_the_link():
    """A reader that cannot be understood cannot be believed."""

    async def scene():
        said = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        here, there = socket.socketpair()
        at_main = []
        main = ReaderLink(ToMain, at_main.append, lambda: at_main.append("lost"))
        await linked(main, here)
        there.sendall((5).to_bytes(4) + b"what?")
        assert await heard(at_main, 1) == ["lost"]
        assert said, "and the log tells why"
        there.close()

    asyncio.run(scene())

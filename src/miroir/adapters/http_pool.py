"""
The connections to one node, and the calls that use them.

    send: an idle connection?  -> write at once, no task
          else                 -> queue (first in, first out); open a connection if fewer than max
    a connection is free       -> the oldest queued call, else idle (last in, first out)
    a connection is closed     -> its call fails, or is sent once more on a fresh connection

A call is sent once more only if its connection had been used before (so the node may have closed
it as idle), no byte of an answer had come, and either the method is GET or the node certainly had
not got the whole request. Everything else that goes wrong is the caller's to judge.

Calls that are overdue are looked for each `_LOOK_S`: a timer for each call would be set and
cancelled, next to never having run out, and nobody minds so much more time.

Maxima: connections, queued calls, seconds for connecting, seconds of idleness. Nothing here reads
or writes HTTP.
"""

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from miroir.adapters.http_answer import AnswerReader
from miroir.adapters.http_call import Call, Observe, Outcome
from miroir.adapters.http_connection import HttpConnection
from miroir.adapters.http_request import Endpoint, HeadEncoder
from miroir.ports.node import NodeReply, NodeRequest
from miroir.telemetry import KnownSecrets

_LOOK_S: Final = 0.01


@dataclass(frozen=True)
class HttpLimits:
    """
    Maxima of the client, per node where that makes sense.

    Attributes:
        connections_max: Open connections to one node, thus also its requests in flight.
        waiting_max: Calls that may wait for a connection to one node; more fail at once.
        answer_bytes_max: Body of one answer, before and after decoding.
        header_bytes_max: Headers of one answer.
        connect_max_s: For one connection, TLS included; a call's own timeout also holds.
        idle_max_s: A connection that rested longer is not used again. Below the 5 s after which
            many servers close (Meilisearch itself never does).
    """

    connections_max: int = 64
    waiting_max: int = 1024
    answer_bytes_max: int = 256 * 1024 * 1024
    header_bytes_max: int = 64 * 1024
    connect_max_s: float = 5.0
    idle_max_s: float = 4.0


@dataclass(frozen=True)
class Target:
    """
    Whom a pool speaks to.

    Attributes:
        node_id: For messages and metrics.
        endpoint: Where it listens.
        encoder: Writes request heads for it; holds the key.
        tls: Set for https.
        secrets: Taken out of whatever the node says no with.
    """

    node_id: str
    endpoint: Endpoint
    encoder: HeadEncoder
    tls: ssl.SSLContext | None
    secrets: KnownSecrets = field(default_factory=KnownSecrets)


class NodePool:
    """Connections to one node."""

    def __init__(
        self,
        target: Target,
        limits: HttpLimits,
        observe: Observe | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._target = target
        self._limits = limits
        self._observe = observe
        self._loop = loop
        self._idle: list[HttpConnection] = []
        self._waiting: OrderedDict[Call, None] = OrderedDict()
        self._open: set[HttpConnection] = set()
        self._ending: set[HttpConnection] = set()
        self._all_lost: asyncio.Future[None] | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._opening_for_resent = 0
        self._sweep_at: asyncio.TimerHandle | None = None
        self._closed = False
        self._calls: dict[Call, None] = {}
        self._looking: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """How many calls have not ended, waiting ones included."""
        return len(self._calls)

    def send(self, request: NodeRequest, timeout_s: float) -> Call:
        """Write the request, or queue it; return the call to await."""
        head = self._target.encoder.encode(request)
        call = Call(self, self._loop, request.method, head)
        call.body = request.body
        call.lasting = request.lasting
        self._calls[call] = None
        if self._closed:
            call.fail(self._message("the client is closed"))
            return call
        connection = self._take_idle()
        if connection is None and len(self._waiting) >= self._limits.waiting_max:
            call.fail(self._message(f"{len(self._waiting)} calls already wait for a connection"))
            return call
        call.due_s += timeout_s
        if self._looking is None:
            self._looking = self._loop.call_later(_LOOK_S, self._look)
        if connection is not None:
            self._start(call, connection)
        else:
            self._waiting[call] = None
            self._open_for_waiting()
        return call

    def break_off(self) -> None:
        """Fail the calls that do not last; what they used, or nothing uses, is closed."""
        reason = self._message("it was found down")
        for waiting in [call for call in self._waiting if not call.lasting]:
            waiting.fail(reason)
        for connection in list(self._open):
            call = connection.exchange
            if call is None:
                self._discard(connection)
            elif isinstance(call, Call) and not call.lasting:
                call.fail(reason)  # Which discards its connection.

    async def aclose(self) -> None:
        """Fail every call, close every connection, and wait until they are gone."""
        self._closed = True
        for timer in (self._sweep_at, self._looking):
            if timer is not None:
                timer.cancel()
        for task in self._opening:
            task.cancel()
        reason = self._message("the client was closed")
        for call in list(self._waiting):
            call.fail(reason)
        for connection in list(self._open):
            exchange = connection.exchange
            self._discard(connection)
            if isinstance(exchange, Call):
                exchange.fail(reason)
        if self._opening:
            await asyncio.wait(list(self._opening))
        if self._ending:
            self._all_lost = self._loop.create_future()
            await self._all_lost

    # ------------------------------------------------------------ from calls

    def ended(self, call: Call, outcome: Outcome) -> None:
        """See `CallOwner`."""
        del self._calls[call]
        connection, call.connection = call.connection, None
        if connection is not None:  # given up: what it still brings belongs to nobody
            self._discard(connection)
            self._open_for_waiting()
        else:
            self._waiting.pop(call, None)
        if self._observe is not None:
            seconds = self._loop.time() - call.started_s
            self._observe(self._target.node_id, outcome, seconds)

    def _look(self) -> None:
        """End what is overdue."""
        self._looking = None
        now_s = self._loop.time()
        for call in [call for call in self._calls if call.due_s <= now_s]:
            self._expire(call)
        if self._calls and self._looking is None:
            self._looking = self._loop.call_later(_LOOK_S, self._look)

    def _expire(self, call: Call) -> None:
        timeout_s = call.due_s - call.started_s
        connection = call.connection
        if connection is None:
            where = "while waiting for a connection"
        elif connection.request_incomplete:
            where = "while sending the request"
        elif not connection.answer_started:
            where = "while waiting for the answer"
        else:
            where = "in the middle of the answer"
        call.fail(self._message(f"timeout after {timeout_s:g} s {where}"), "timeout")

    # ------------------------------------------------------------ from connections

    def answered(self, connection: HttpConnection, reply: NodeReply) -> None:
        """See `http_connection.Owner`."""
        call = self._leave(connection)
        assert call is not None
        if connection.reusable and not self._closed:
            self._free(connection)
        else:
            self._discard(connection)
            self._open_for_waiting()
        if reply.status >= 400:
            reply = structs.replace(reply, body=self._target.secrets.out_of_body(reply.body))
        call.finish(reply)

    def broken(self, connection: HttpConnection, reason: str) -> None:
        """See `http_connection.Owner`."""
        unseen = connection.request_incomplete
        call = self._leave(connection)
        self._discard(connection)
        if call is not None:
            stale = connection.answers > 0 and not connection.answer_started
            if stale and (call.method == "GET" or unseen):
                self._open_connection(call)  # which has no answers yet: there is no third time
                return
            call.fail(self._message(reason))
        self._open_for_waiting()

    def lost(self, connection: HttpConnection) -> None:
        """See `http_connection.Owner`."""
        self._ending.discard(connection)
        if not self._ending and self._all_lost is not None and not self._all_lost.done():
            self._all_lost.set_result(None)

    # ------------------------------------------------------------ steps

    def _message(self, reason: str) -> str:
        return f"node {self._target.node_id}: {reason}"

    def _start(self, call: Call, connection: HttpConnection) -> None:
        call.connection = connection
        connection.start(call)

    def _leave(self, connection: HttpConnection) -> Call | None:
        """Part a connection from its call."""
        call, connection.exchange = connection.exchange, None
        if call is None:
            return None
        assert isinstance(call, Call)
        call.connection = None
        return call

    def _discard(self, connection: HttpConnection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            self._ending.add(connection)
            connection.abort()
        if connection in self._idle:
            self._idle.remove(connection)

    def _take_idle(self) -> HttpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            rested_s = self._loop.time() - connection.idle_since_s
            if connection.usable and rested_s < self._limits.idle_max_s:
                return connection
            self._discard(connection)
        return None

    def _free(self, connection: HttpConnection) -> None:
        """Give a connection to the oldest queued call, or let it rest."""
        if self._waiting:
            call, _ = self._waiting.popitem(last=False)
            self._start(call, connection)
            return
        connection.idle_since_s = self._loop.time()
        self._idle.append(connection)
        if self._sweep_at is None:
            self._sweep_at = self._loop.call_later(self._limits.idle_max_s, self._sweep)

    def _sweep(self) -> None:
        """Close what rested too long; the list is ordered by the time of the last use."""
        self._sweep_at = None
        oldest_s = self._loop.time() - self._limits.idle_max_s
        for connection in list(self._idle):
            if connection.idle_since_s > oldest_s:
                break
            self._discard(connection)
        if self._idle:
            self._sweep_at = self._loop.call_later(self._limits.idle_max_s, self._sweep)

    def _open_for_waiting(self) -> None:
        """Open connections for queued calls, as many as the limit leaves."""
        while not self._closed:
            coming = len(self._opening) - self._opening_for_resent
            if coming >= len(self._waiting):
                return
            if len(self._open) + len(self._opening) >= self._limits.connections_max:
                return
            self._open_connection(None)

    def _open_connection(self, resent: Call | None) -> None:
        # The hot path's documented exception: a task for each new connection, none for requests.
        task = self._loop.create_task(self._connect(resent))
        self._opening.add(task)
        self._opening_for_resent += resent is not None
        task.add_done_callback(lambda task: self._tried(task, resent))

    async def _connect(self, resent: Call | None) -> None:
        """Open one connection and put it to use; never raises but for cancellation."""
        endpoint = self._target.endpoint
        limits = self._limits
        try:
            async with asyncio.timeout(limits.connect_max_s):
                _, connection = await self._loop.create_connection(
                    lambda: HttpConnection(
                        self,
                        AnswerReader(
                            answer_bytes_max=limits.answer_bytes_max,
                            header_bytes_max=limits.header_bytes_max,
                        ),
                    ),
                    endpoint.host,
                    endpoint.port,
                    ssl=self._target.tls,
                )
        except TimeoutError:
            self._refused(resent, f"no connection within {limits.connect_max_s:g} s")
        except ConnectionRefusedError:
            self._refused(resent, f"connection refused by {endpoint.authority}")
        except (OSError, UnicodeError) as error:
            self._refused(resent, f"cannot connect to {endpoint.authority}: {error}")
        else:
            self._opened(connection, resent)

    def _opened(self, connection: HttpConnection, resent: Call | None) -> None:
        if self._closed:
            connection.abort()
        elif not connection.usable:
            self._refused(resent, "the node closed the connection as soon as it was open")
        else:
            self._open.add(connection)
            if resent is not None and not resent.done():
                self._start(resent, connection)
            else:
                self._free(connection)

    def _refused(self, resent: Call | None, reason: str) -> None:
        """Fail the call that the connection was for: the given one, or the oldest queued one."""
        if resent is not None:
            resent.fail(self._message(reason))
        elif self._waiting:
            call, _ = self._waiting.popitem(last=False)
            call.fail(self._message(reason))

    def _tried(self, task: asyncio.Task[None], resent: Call | None) -> None:
        self._opening.discard(task)
        self._opening_for_resent -= resent is not None
        if resent is not None and self._closed:
            resent.fail(self._message("the client was closed"))
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error  # a bug of ours: to the loop's exception handler, not into the dark
        self._open_for_waiting()

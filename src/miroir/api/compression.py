"""
Answers in the content coding that the client asked for.

For large ones: with small ones the coding costs more than it spares. Nothing here decides what is
in an answer.
"""

import asyncio
from typing import Final

from msgspec.structs import replace

from miroir.api.http import Reply, Request
from miroir.codings import chosen, coded

_LOOP_BYTES_MAX: Final = 128 * 1024
"""Larger answers are coded in a thread."""


async def compressed(request: Request, reply: Reply) -> Reply:
    """Return the reply, coded if the client takes it so."""
    accepted = request.header_list("accept-encoding")
    if not accepted:
        return reply
    coding = chosen(accepted)
    if coding is None:
        return replace(reply, headers={**reply.headers, "Vary": "Accept-Encoding"})
    if len(reply.body) <= _LOOP_BYTES_MAX:
        body = coded(reply.body, coding)
    else:
        body = await asyncio.to_thread(coded, reply.body, coding)
    told = {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
    return replace(reply, body=body, headers={**reply.headers, **told})

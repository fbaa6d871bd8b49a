"""The event loop of a process of this server: which one, and what the collector leaves alone."""

import asyncio
import gc
from collections.abc import Callable

try:
    import uvloop

    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
except ImportError:  # Not on this platform: asyncio's own loop does as well, slower.
    loop_factory = None

_GC_AFTER_OBJECTS = 20_000


def settle() -> None:
    """
    Have the garbage collector leave alone what stays for as long as the process does.

    Requests make next to no cycles; looked for every 700 objects, as is the default, they cost a
    search more than its choice of nodes does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_AFTER_OBJECTS)

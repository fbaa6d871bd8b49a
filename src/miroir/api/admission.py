"""
How much is in work at once: requests and the bytes of their bodies, both with a maximum.

Nothing queues here. What is too much is refused at once with 503 and `Retry-After`, so that the
client waits and not the memory of this process. Routes that need no key, and the operator's, are
let in always: they are how somebody finds out.
"""

from miroir.errors import Overloaded


class Admission:
    """
    Counts what is in work.

    Attributes:
        requests: In work now.
        bytes: Of bodies being read, or read and in work.
    """

    def __init__(self, *, requests_max: int, bytes_max: int) -> None:
        self._requests_max = requests_max
        self._bytes_max = bytes_max
        self.requests = 0
        self.bytes = 0

    def check(self, *, search: bool) -> None:
        """
        Let a request go on to its body.

        Raises:
            Overloaded: There are as many in work as may be.
        """
        if self.requests >= self._requests_max:
            raise Overloaded(
                f"Too many requests running at the same time: {self._requests_max}. "
                f"Retry after {Overloaded.retry_after_s}s.",
                search=search,
            )

    def hold(self, size: int) -> None:
        """
        Count bytes in.

        Raises:
            Overloaded: There are as many as may be.
        """
        if self.bytes + size > self._bytes_max:
            raise Overloaded(
                f"The requests in work hold {self.bytes} bytes already. "
                f"Retry after {Overloaded.retry_after_s}s."
            )
        self.bytes += size


class Guest:
    """What one request counts for, until it leaves."""

    __slots__ = ("_admission", "_bytes", "_inside")

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._inside = False
        self._bytes = 0

    def hold(self, size: int) -> None:
        """See `Admission.hold`."""
        self._admission.hold(size)
        self._bytes += size

    def enter(self, *, search: bool) -> None:
        """Count the request in; see `Admission.check`."""
        self._admission.check(search=search)
        self._admission.requests += 1
        self._inside = True

    def leave(self) -> None:
        """Count out what was counted in."""
        self._admission.requests -= self._inside
        self._admission.bytes -= self._bytes
        self._inside, self._bytes = False, 0

"""What goes wrong because there is too much to do, too little time, or too few replicas."""

from miroir.errors.base import MiroirError, RequestRefused, Unavailable


class Overloaded(Unavailable):
    """As much is in work as may be; nothing was done."""

    code = "miroir_overloaded"
    retry_after_s = 2

    def __init__(self, message: str, *, search: bool = False) -> None:
        super().__init__(message)
        if search:
            self.code = "too_many_search_requests"  # As a node whose queue is full.


class TimeIsUp(MiroirError):
    """The nodes did not answer in the time that there was."""

    code = "miroir_timeout"
    http_status = 504
    error_type = "system"


class InvalidTimeout(RequestRefused):
    """`X-Miroir-Timeout-Ms` is no positive whole number."""

    code = "miroir_invalid_timeout"


class InvalidConsistency(RequestRefused):
    """`X-Miroir-Write-Consistency` is not one of `one`, `majority`, `all`."""

    code = "miroir_invalid_write_consistency"


class TooFewReplicas(Unavailable):
    """Fewer replicas are in sync than the write has to reach; nothing was written."""

    code = "miroir_too_few_replicas"
    retry_after_s = 5


class WritePending(Unavailable):
    """The write is durable and goes on, but has not reached the replicas that it has to reach."""

    code = "miroir_write_pending"
    retry_after_s = 5


class RequestTimeout(RequestRefused):
    """The client did not send its request in time; the connection is closed."""

    code = "miroir_request_timeout"
    http_status = 408

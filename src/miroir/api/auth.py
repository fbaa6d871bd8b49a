"""
Who may do what on the public and the admin side.

The master key opens everything. Reads that nodes answer carry the client's own token through to
them, so that the nodes enforce rights and tenant filters; what Miroir answers itself needs the
master key. Without a master key everything is open, as on one node. Keys are compared in constant
time and never shown.
"""

import hmac
from dataclasses import dataclass
from typing import Final, assert_never

from miroir.api.http import Request
from miroir.api.router import Access
from miroir.config import Secret
from miroir.errors import InvalidApiKey, MissingAuthorization

_MISSING: Final = (
    "The Authorization header is missing. It must use the bearer authorization method."
)


@dataclass(frozen=True)
class Guard:
    """
    Checks tokens.

    Attributes:
        master_key: Opens the public side; None: it is open.
        admin_key: Opens the admin side; None: it is open.
    """

    master_key: Secret | None
    admin_key: Secret | None

    def check(self, access: Access, request: Request) -> None:
        """
        Let a request through to a route, or not.

        Raises:
            MissingAuthorization: No bearer token where one is needed.
            InvalidApiKey: Another token than the one that opens the route.
        """
        match access:
            case Access.OPEN:
                return
            case Access.MASTER:
                _check(request, self.master_key)
            case Access.NODES:
                self.for_nodes(request)
            case Access.ADMIN:
                _check(request, self.admin_key)
            case _:
                assert_never(access)

    def for_nodes(self, request: Request) -> str | None:
        """
        Return the `Authorization` value for the nodes: the client's own, or None for ours.

        Raises:
            MissingAuthorization: No bearer token, and the cluster has a master key.
        """
        if self.master_key is None:
            return None
        token = _bearer(request)
        if hmac.compare_digest(token, self.master_key.reveal().encode()):
            return None
        return request.header("authorization")


def _check(request: Request, secret: Secret | None) -> None:
    if secret is None:
        return
    if not hmac.compare_digest(_bearer(request), secret.reveal().encode()):
        raise InvalidApiKey("The provided API key is invalid.")


def _bearer(request: Request) -> bytes:
    kind, _, token = (request.header("authorization") or "").partition(" ")
    if kind != "Bearer" or not token:  # Nodes know this spelling alone.
        raise MissingAuthorization(_MISSING)
    return token.strip().encode("latin-1", "replace")

"""
Who may do what on the public and the admin side.

The master key opens everything. Reads that nodes answer carry the client's own token through to
them, so that the nodes enforce rights and tenant filters; what Miroir answers itself needs the
master key. Without a master key everything is open, as on one node. Keys are compared in constant
time and never shown.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from miroir.api.http import Request
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

    def check_master(self, request: Request) -> None:
        """
        Let the master key through.

        Raises:
            MissingAuthorization: No bearer token.
            InvalidApiKey: Another token.
        """
        _check(request, self.master_key)

    def check_admin(self, request: Request) -> None:
        """Let the admin key through; raises as `check_master`."""
        _check(request, self.admin_key)

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
    if kind.lower() != "bearer" or not token:
        raise MissingAuthorization(_MISSING)
    return token.strip().encode("latin-1", "replace")

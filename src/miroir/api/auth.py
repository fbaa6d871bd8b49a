"""
Who may do what on the public and the admin side.

The master key opens everything. A key of the cluster opens what it allows, judged here for every
route, with Meilisearch's words; nodes are then asked with the master key, so that it does not
matter whether they know the key already. A tenant token is judged here and goes to the nodes all
the same: they apply its filters. A token that is not the cluster's gets through to reads that
nodes answer, and they decide. Without a master key everything is open, as on one node. Keys are
compared in constant time, or by a hash, and never shown. What was let through once is let through
again, until a key changes; keys that expire and tenant tokens are judged each time.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, assert_never

from miroir.api.actions import action_of, second_action_of
from miroir.api.http import Request
from miroir.api.router import Access, Route
from miroir.config import Secret
from miroir.core import rights
from miroir.core.keys import Definition
from miroir.core.rights import TenantToken
from miroir.errors import InvalidApiKey, MissingAuthorization
from miroir.services.known_keys import KeyTable, KnownKeys

_MISSING: Final = (
    "The Authorization header is missing. It must use the bearer authorization method."
)


_PASSED_MAX: Final = 1024
_INVALID: Final = "The provided API key is invalid."


@dataclass(frozen=True)
class _Passed:
    """
    A request was let through, and every one like it is.

    Attributes:
        table: The keys that it was judged by; with other keys it is judged anew.
        confined: See `Request`.
        may_create: See `Request`.
    """

    table: KeyTable
    confined: tuple[str, ...] | None
    may_create: bool


@dataclass(frozen=True)
class Guard:
    """
    Checks tokens.

    Attributes:
        master_key: Opens the public side; None: it is open.
        admin_key: Opens the admin side; None: it is open.
        ring: The API keys of the cluster.
    """

    master_key: Secret | None
    admin_key: Secret | None
    ring: KnownKeys
    _passed: dict[tuple[str | None, ...], _Passed] = field(default_factory=dict, repr=False)

    def check(self, route: Route, named: Mapping[str, str], request: Request) -> None:
        """
        Let a request through to a route, or not; notes on it what its key is confined to.

        Raises:
            MissingAuthorization: No bearer token where one is needed.
            InvalidApiKey: A token that does not open the route.
        """
        match route.access:
            case Access.OPEN:
                return
            case Access.ADMIN:
                _check(request, self.admin_key)
            case Access.MASTER | Access.NODES:
                self._check_public(route, named, request)
            case _:
                assert_never(route.access)

    def for_nodes(self, request: Request) -> str | None:
        """
        Return the `Authorization` value for the nodes: the client's own, or None for ours.

        Raises:
            MissingAuthorization: No bearer token, and the cluster has a master key.
        """
        if self.master_key is None or request.by_cluster:
            return None
        token = _bearer(request)
        if self._is_master(token) or self.ring.uid_of(token.decode("latin-1")) is not None:
            return None
        return request.header("authorization")

    def _check_public(self, route: Route, named: Mapping[str, str], request: Request) -> None:
        if self.master_key is None:
            return
        asked = (request.header("authorization"), route.method, route.pattern, named.get("uid"))
        passed = self._passed.get(asked)
        if passed is None or passed.table is not self.ring.now_known():
            passed = self._judged(route, named, request)
            if passed is None:
                return
            if len(self._passed) >= _PASSED_MAX:
                self._passed.clear()
            self._passed[asked] = passed
        request.by_cluster = True
        request.confined, request.may_create = passed.confined, passed.may_create

    def _judged(
        self, route: Route, named: Mapping[str, str], request: Request
    ) -> "_Passed | None":
        """
        Let a request through, or not.

        Returns:
            What holds for every request like it until a key changes; None where time matters, or
            the nodes judge: then the request itself was noted on.
        """
        table, token = self.ring.now_known(), _bearer(request)
        if self._is_master(token):
            return _Passed(table, None, may_create=True)
        action = action_of(route.method, route.pattern)
        known = self._known(token.decode("latin-1"), action)
        if known is not None and action is not None:
            key, tenant = known
            second = second_action_of(route.method, route.pattern)
            for each in (action,) if second is None else (action, second):
                rights.check(key, each, named.get("uid"), now=self.ring.now(), token=tenant)
            confined = None if "*" in key["indexes"] else tuple(key["indexes"])
            may_create = rights.allows(key, "indexes.create")
            if tenant is None and key["expiresAt"] is None:
                return _Passed(table, confined, may_create=may_create)
            request.confined, request.may_create = confined, may_create
        elif known is not None or route.access is not Access.NODES:
            raise InvalidApiKey(_INVALID)
        return None

    def _known(
        self, token: str, action: str | None
    ) -> tuple[Definition, TenantToken | None] | None:
        """
        Return the key that a token is, or was made from; None if it is not of the cluster.

        Raises:
            InvalidApiKey: The key was deleted; the signature is wrong; the token's time is over.
        """
        uid, tenant = self.ring.uid_of(token), None
        if uid is None and action == "search":
            tenant = rights.read_token(token)
            uid = tenant.key_uid if tenant is not None else None
        if uid is None or not self.ring.is_ours(uid):
            return None
        key = self.ring.definition(uid)
        if key is None:
            raise InvalidApiKey(_INVALID)
        if tenant is not None:
            rights.check_token(tenant, self.ring.value(uid), now=self.ring.now())
        return key, tenant

    def _is_master(self, token: bytes) -> bool:
        assert self.master_key is not None
        return hmac.compare_digest(token, self.master_key.reveal().encode())


def _check(request: Request, secret: Secret | None) -> None:
    if secret is None:
        return
    if not hmac.compare_digest(_bearer(request), secret.reveal().encode()):
        raise InvalidApiKey(_INVALID)


def _bearer(request: Request) -> bytes:
    """Return what comes after the first space, as nodes read it: to the letter, or nothing."""
    kind, _, token = (request.header("authorization") or "").partition(" ")
    if kind != "Bearer":  # Nodes know this spelling alone.
        raise MissingAuthorization(_MISSING)
    return token.encode("latin-1", "replace")

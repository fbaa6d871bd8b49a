"""
Who may do what: from an Authorization header to the rights of one request.

Without a master key everything is open except the routes of keys. With one, a request shows the
master key, an API key, or (for searches) a tenant token. Refusals name no secret. Sources:
Meilisearch 1.50, extractors/authentication/mod.rs and meilisearch-auth/src/lib.rs.
"""

from dataclasses import dataclass
from typing import Any, Final

from miroir.node.actions import CHECKED_BY_ROUTE, expanded
from miroir.node.errors import ApiError
from miroir.node.index_uids import covers
from miroir.node.keys import Key, Keys
from miroir.node.tenant import TenantToken, read_token

_INVALID: Final = "The provided API key is invalid."


@dataclass(frozen=True)
class Access:
    """
    The rights of one request.

    Attributes:
        patterns: The indexes that the key covers.
        token: The tenant token that narrows them, if one was shown.
        may_create: Whether a write may create its index.
    """

    patterns: tuple[str, ...] = ("*",)
    token: TenantToken | None = None
    may_create: bool = True

    def covers(self, uid: str) -> bool:
        """Return whether an index is within these rights."""
        return any(covers(pattern, uid) for pattern in self.patterns) and self._token_covers(uid)

    def _token_covers(self, uid: str) -> bool:
        return self.token is None or any(covers(pattern, uid) for pattern in self.token.rules)

    def covers_everything(self) -> bool:
        """Return whether every index is within these rights."""
        return "*" in self.patterns and (self.token is None or "*" in self.token.rules)

    def may_create_index(self, uid: str) -> bool:
        """Return whether a write may create this index."""
        return self.may_create and self.covers(uid)

    def require(self, uid: str) -> None:
        """Refuse an index that a route found in a body (`invalid_api_key`)."""
        if not self.covers(uid):
            raise ApiError("invalid_api_key", _INVALID)

    def filter_of(self, uid: str) -> Any:
        """Return the filter that the token adds to searches of an index."""
        return None if self.token is None else self.token.rule_of(uid)

    def require_path(self, uid: str) -> None:
        """Refuse the index in a path, in the words that fit the kind of right."""
        if self.token is not None and not self._token_covers(uid):
            raise _refused(
                f"The provided tenant token cannot acces the index `{uid}`, "
                f"allowed indexes are {_names(self.token.rules)}."
            )
        if any(covers(pattern, uid) for pattern in self.patterns):
            return
        if self.token is not None:
            raise _refused(
                f"The API key used to generate this tenant token cannot acces the index `{uid}`."
            )
        raise _refused(
            f"The API key cannot acces the index `{uid}`, "
            f"authorized indexes are {_names(self.patterns)}."
        )


def _names(patterns: Any) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(patterns)) + "]"


def _refused(message: str = _INVALID) -> ApiError:
    return ApiError("invalid_api_key", message)


def authorize(keys: Keys, header: str | None, action: str, index_uid: str | None) -> Access:
    """
    Return the rights of a request to do `action`.

    Args:
        keys: The node's keys.
        header: The Authorization header.
        action: What the route does, such as `documents.add`.
        index_uid: The index in the path, None for routes without one.

    Raises:
        ApiError: 401 `missing_authorization_header` or `missing_master_key`, 403
        `invalid_api_key`.
    """
    if keys.master_key is None:
        if not action.startswith("keys."):
            return Access()
        raise ApiError(
            "missing_master_key",
            "Meilisearch is running without a master key. To access this API endpoint, you must "
            "have set a master key at launch.",
        )
    secret = _bearer(header)
    if secret == keys.master_key:
        return Access()
    key, token = _key_of(keys, secret, action)
    allowed = expanded(key.actions)
    access = Access(key.indexes, token, may_create="indexes.create" in allowed)
    if index_uid is not None:
        access.require_path(index_uid)
    if key.is_expired() or action not in allowed or not _in_scope(access, action, index_uid):
        raise _refused()
    return access


def _in_scope(access: Access, action: str, index_uid: str | None) -> bool:
    return index_uid is not None or "*" in access.patterns or action in CHECKED_BY_ROUTE


def _bearer(header: str | None) -> str:
    scheme, _, secret = (header or "").partition(" ")
    if header is None or scheme != "Bearer":
        raise ApiError(
            "missing_authorization_header",
            "The Authorization header is missing. It must use the bearer authorization method.",
        )
    if not secret:
        raise _refused()
    return secret


def _key_of(keys: Keys, secret: str, action: str) -> tuple[Key, TenantToken | None]:
    token = read_token(secret, keys.value) if action == "search" else None
    key = keys.find(token.key_uid) if token is not None else keys.by_value(secret)
    if key is None:
        raise _refused()
    return key, token

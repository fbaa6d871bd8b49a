"""
Every error Miroir raises on purpose, and nothing else.

    MiroirError
    ├── RequestRefused      the caller's fault; 4xx, never retried; nothing was changed
    ├── Unavailable         nobody's fault; 503, the same request may succeed later
    ├── NodeError           what one node did wrong; services turn it into an event
    │   ├── NodeUnreachable     no answer, may have acted
    │   ├── NodeAnswerUnreadable  an answer to another question
    │   └── NodeRefused         answered no, did nothing
    ├── ConfigError         the operator's file or environment; names file, key and remedy
    └── LeaseLost           another holder has taken over; stop, send nothing more

A broken invariant is no member of this tree: it is an `assert`, and it ends the task. Codes that
Meilisearch has are spelt as Meilisearch spells them; ours begin with `miroir_`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

_MEILISEARCH_LINK: Final = "https://docs.meilisearch.com/errors#"
_MIROIR_LINK: Final = "docs/reference/errors.md#"


class MiroirError(Exception):
    """
    Base of the tree.

    Attributes:
        code: Goes into the response body.
        http_status: Goes onto the response's first line.
        error_type: Meilisearch's `type`: invalid_request, auth, system or internal.
    """

    code: str = "internal"
    http_status: ClassVar[int] = 500
    error_type: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        """The sentence for the client."""
        return str(self)

    def body(self) -> dict[str, Any]:
        """Return Meilisearch's error object."""
        link = _MIROIR_LINK if self.code.startswith("miroir_") else _MEILISEARCH_LINK
        return {
            "message": self.message,
            "code": self.code,
            "type": self.error_type,
            "link": link + self.code,
        }


class RequestRefused(MiroirError):
    """The request cannot be carried out as it is."""

    code = "bad_request"
    http_status = 400
    error_type = "invalid_request"


class MalformedPayload(RequestRefused):
    """The body is not what its content type says."""

    code = "malformed_payload"


class MissingPayload(RequestRefused):
    """A body was expected and none came."""

    code = "missing_payload"


class MissingContentType(RequestRefused):
    """A document payload without a content type."""

    code = "missing_content_type"
    http_status = 415


class InvalidContentType(RequestRefused):
    """A content type that the route does not take."""

    code = "invalid_content_type"
    http_status = 415


class PayloadTooLarge(RequestRefused):
    """The body is larger than `limits.payload_bytes_max`."""

    code = "payload_too_large"
    http_status = 413


class InvalidCsvDelimiter(RequestRefused):
    """The csvDelimiter parameter is not one ASCII character."""

    code = "invalid_document_csv_delimiter"


class InvalidIndexUid(RequestRefused):
    """The uid is empty, too long, or has a character that uids cannot have."""

    code = "invalid_index_uid"


class IndexNotFound(RequestRefused):
    """No index of this uid."""

    code = "index_not_found"
    http_status = 404


class DocumentNotFound(RequestRefused):
    """No document of this id."""

    code = "document_not_found"
    http_status = 404


class TaskNotFound(RequestRefused):
    """No task of this uid."""

    code = "task_not_found"
    http_status = 404


class BadParameter(RequestRefused):
    """A query parameter or field with a code of its own, e.g. `invalid_task_limit`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnsupportedMediaType(RequestRefused):
    """A content coding that Miroir cannot undo."""

    code = "unsupported_media_type"
    http_status = 415


class InvalidFloor(RequestRefused):
    """`X-Miroir-Min-Settings-Version` is neither a number nor `index=number` pairs."""

    code = "miroir_invalid_settings_version"


class CannotBeMerged(RequestRefused):
    """One node could answer this; over several shards it cannot be answered exactly."""

    code = "miroir_cannot_merge"
    http_status = 501


class SecretsRefused(RequestRefused):
    """Settings hold an embedder secret, and there is no key to keep it under."""

    code = "miroir_secret_key_missing"


class SettingsNotVerified(MiroirError):
    """A settings change was aborted because nodes did not show it; ends up in its task."""

    code = "miroir_settings_not_verified"
    http_status = 502
    error_type = "system"


class OutcomeUnknown(MiroirError):
    """No replica can tell how its part of a document write ended; ends up in the task."""

    code = "miroir_outcome_unknown"
    http_status = 502
    error_type = "system"


class RouteNotSupported(RequestRefused):
    """A route or parameter of Meilisearch that Miroir does not offer (yet)."""

    code = "miroir_route_not_supported"
    http_status = 501


class RouteNotFound(RequestRefused):
    """A path that neither Meilisearch nor Miroir has."""

    code = "miroir_route_not_found"
    http_status = 404


class MethodNotAllowed(RequestRefused):
    """
    A known path with a method that it does not take.

    Attributes:
        allowed: The methods that it takes.
    """

    code = "miroir_method_not_allowed"
    http_status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class MissingAuthorization(RequestRefused):
    """No bearer token where one is needed."""

    code = "missing_authorization_header"
    http_status = 401
    error_type = "auth"


class InvalidApiKey(RequestRefused):
    """A bearer token that does not open this route."""

    code = "invalid_api_key"
    http_status = 403
    error_type = "auth"


class NotAdoptable(RequestRefused):
    """Something speaks against taking an index over as it is; the message has the remedy."""

    code = "miroir_not_adoptable"
    http_status = 409


class SettingsVersionMismatch(RequestRefused):
    """The settings are no longer those that `If-Match` names; read them again."""

    code = "miroir_settings_version_mismatch"
    http_status = 412


class InvalidPrecondition(RequestRefused):
    """`If-Match` or `If-None-Match` is neither `*` nor a list of entity tags."""

    code = "miroir_invalid_precondition"


class InvalidNote(RequestRefused):
    """`X-Miroir-By` or `X-Miroir-Reason` is too long, or no line of plain text."""

    code = "miroir_invalid_note"


class InvalidCanary(RequestRefused):
    """A canary's golden queries are not as they should be written."""

    code = "miroir_invalid_canary"


class SettingsVersionNotFound(RequestRefused):
    """The index never had this settings version."""

    code = "miroir_settings_version_not_found"
    http_status = 404


class SettingsVersionNotKept(RequestRefused):
    """The version was committed by a release that did not keep complete settings."""

    code = "miroir_settings_version_not_kept"


class IntentNotFound(RequestRefused):
    """There is no intent of this number."""

    code = "miroir_intent_not_found"
    http_status = 404


class Unavailable(MiroirError):
    """
    The cluster cannot answer just now.

    Attributes:
        retry_after_s: Goes into `Retry-After`.
    """

    code = "miroir_unavailable"
    http_status = 503
    error_type = "system"
    retry_after_s: ClassVar[int] = 1


class NoCoveringSet(Unavailable):
    """
    Some shard has no usable node.

    Attributes:
        shards: The shards that nobody can answer for, where known.
    """

    code = "miroir_no_covering_set"

    def __init__(self, message: str, shards: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.shards = shards


class SettingsVersionStale(Unavailable):
    """No covering set serves the settings version that the request asks for."""

    code = "miroir_settings_version_stale"


class TooManyIntents(Unavailable):
    """The queue of changes of one index is full."""

    code = "miroir_too_many_intents"
    retry_after_s = 10


class NotEverywhere(Unavailable):
    """A key or a feature could not be brought to every node, or not in time."""

    code = "miroir_not_everywhere"
    retry_after_s = 10


class SettingsFrozen(Unavailable):
    """Document writes are refused until the settings are repaired or thawed."""

    code = "miroir_settings_frozen"
    retry_after_s = 10


class NodeError(MiroirError):
    """One node failed one call. Reaches a client only in a wrapped form."""

    code = "miroir_node_error"
    http_status = 502
    error_type = "system"


class NodeUnreachable(NodeError):
    """No usable answer before the deadline; the node may or may not have acted."""

    code = "miroir_node_unreachable"


class NodeAnswerUnreadable(NodeError):
    """
    The node answered 200 with something that is no answer to what it was asked.

    Attributes:
        position: Whose answer: its place among the answers given to be merged.
    """

    code = "miroir_node_answer_unreadable"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class NodeRefused(NodeError):
    """
    The node answered, and the answer was no; it did not act.

    Attributes:
        status: The node's HTTP status.
        error: The node's error object, as it sent it.
    """

    code = "miroir_node_refused"

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(str(error.get("message", f"status {status}")))
        self.status = status
        self.error = dict(error)


class ConfigError(MiroirError):
    """The configuration cannot be used; the message names file, key and remedy."""

    code = "miroir_config"


class LeaseLost(MiroirError):
    """A newer epoch is in the store: this process is no longer the holder."""

    code = "miroir_lease_lost"
    http_status = 503
    error_type = "system"

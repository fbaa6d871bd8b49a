"""What can be wrong with a request; codes that Meilisearch has are spelt as there."""

from miroir.errors.base import RequestRefused


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


class BatchNotFound(RequestRefused):
    """No batch of this uid."""

    code = "batch_not_found"
    http_status = 404


class WebhookNotFound(RequestRefused):
    """No webhook of this uuid."""

    code = "webhook_not_found"
    http_status = 404


class MissingTaskFilters(RequestRefused):
    """A cancelation or deletion of tasks that does not say of which."""

    code = "missing_task_filters"


class BadParameter(RequestRefused):
    """A query parameter or field with a code of its own, e.g. `invalid_task_limit`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CannotBeMerged(RequestRefused):
    """One node could answer this; over several shards it cannot be answered exactly."""

    code = "miroir_cannot_merge"
    http_status = 501


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

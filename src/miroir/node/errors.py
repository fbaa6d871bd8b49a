"""
Every error the embedded node answers, in Meilisearch's form.

An `ApiError` is a code and a message; status and type follow from the code by the table below
(source: Meilisearch 1.50, meilisearch-types/src/error.rs). The same object ends up in HTTP answers
and in failed tasks. A code that is not in the table is our bug and fails an assertion.
"""

from typing import Any, Final

_LINK: Final = "https://docs.meilisearch.com/errors#"

# Codes that are not (400, invalid_request); everything else named in `_REQUEST_CODES` is.
_SPECIAL: Final[dict[str, tuple[int, str]]] = {
    "missing_authorization_header": (401, "auth"),
    "missing_master_key": (401, "auth"),
    "invalid_api_key": (403, "auth"),
    "index_not_found": (404, "invalid_request"),
    "document_not_found": (404, "invalid_request"),
    "task_not_found": (404, "invalid_request"),
    "task_file_not_found": (404, "invalid_request"),
    "batch_not_found": (404, "invalid_request"),
    "api_key_not_found": (404, "invalid_request"),
    "webhook_not_found": (404, "invalid_request"),
    "render_document_not_found": (404, "invalid_request"),
    "not_found": (404, "invalid_request"),
    "index_already_exists": (409, "invalid_request"),
    "api_key_already_exists": (409, "invalid_request"),
    "missing_content_type": (415, "invalid_request"),
    "invalid_content_type": (415, "invalid_request"),
    "payload_too_large": (413, "invalid_request"),
    "method_not_allowed": (405, "invalid_request"),
    "no_space_left_on_device": (422, "system"),
    "io_error": (422, "system"),
    "requires_enterprise_edition": (451, "invalid_request"),
    "too_many_search_requests": (503, "system"),
    "internal": (500, "internal"),
}


class ApiError(Exception):
    """
    An answer that says no.

    Attributes:
        code: Meilisearch's snake_case code, e.g. `invalid_search_filter`.
        message: The sentence for the client, in Meilisearch's words.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self._status = status

    @property
    def status(self) -> int:
        """The HTTP status of the code, unless this error has one of its own."""
        if self._status is not None:
            return self._status
        return _SPECIAL.get(self.code, (400, ""))[0]

    @property
    def type(self) -> str:
        """`invalid_request`, `auth`, `system` or `internal`."""
        return _SPECIAL.get(self.code, (400, "invalid_request"))[1]

    def body(self) -> dict[str, Any]:
        """Return the JSON object of HTTP answers and failed tasks."""
        return {
            "message": self.message,
            "code": self.code,
            "type": self.type,
            "link": _LINK + self.code,
        }

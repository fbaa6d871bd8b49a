"""
Rules for webhooks: what can be one, what a change makes of it, and what is shown of it.

Judged as Meilisearch 1.50 does (routes/webhooks.rs) and refused in its words. Pure; whoever calls
has looked at the types of the fields. Header values are secrets: `Authorization` is shown masked,
and none of them is ever in a message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from miroir.core.settings_normal import masked
from miroir.errors import BadParameter

NIL: Final = "00000000-0000-0000-0000-000000000000"
"""The uuid of the webhook of the configuration."""
COUNT_MAX: Final = 20
HEADERS_MAX: Final = 200
_BEARER: Final = "Bearer "
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_UUID_MAX: Final = 45
_HEX: Final = "0123456789abcdefABCDEF-"


@dataclass(frozen=True)
class Definition:
    """Where notices go, and with which headers."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def shown(id_: str, definition: Definition) -> dict[str, Any]:
    """Return a webhook as the API shows it."""
    return {
        "uuid": id_,
        "isEditable": id_ != NIL,
        "url": definition.url,
        "headers": {n: _masked(n, v) for n, v in sorted(definition.headers.items())},
    }


def made(id_: str, asked: Mapping[str, Any]) -> Definition:
    """
    Return the webhook that a creation asks for.

    Raises:
        BadParameter: It cannot be one.
    """
    headers = asked.get("headers") or {}
    _check_count(id_, headers)
    if asked.get("url") is None:
        raise _missing_url(id_)
    return _checked(id_, Definition(asked["url"], {n: v or "" for n, v in headers.items()}))


def changed(id_: str, before: Definition, asked: Mapping[str, Any]) -> Definition:
    """
    Return what a change makes of a webhook: headers merge, null removes one or all.

    Raises:
        BadParameter: It would not be one any more.
    """
    if "url" in asked and asked["url"] is None:
        raise _missing_url(id_)
    headers = dict(before.headers)
    if "headers" in asked:
        merged = {**headers, **asked["headers"]} if asked["headers"] is not None else {}
        headers = {name: value for name, value in merged.items() if value is not None}
    _check_count(id_, headers)
    return _checked(id_, Definition(asked.get("url", before.url), headers))


def check_editable(id_: str) -> None:
    """Raise `BadParameter` for the webhook of the configuration."""
    if id_ == NIL:
        raise BadParameter(
            "immutable_webhook",
            f"Webhook `{id_}` is immutable. The webhook defined from the command line cannot be "
            "modified using the API.",
        )


def read_uuid(text: str) -> str:
    """
    Return a uuid in its usual form.

    Raises:
        BadParameter: It is none, in the words of the `uuid` crate.
    """
    fault = _uuid_fault(text)
    if fault is not None:
        raise BadParameter("invalid_webhook_uuid", f"Invalid UUID: {fault}")
    digits = text.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _uuid_fault(text: str) -> str | None:
    if not text or len(text) > _UUID_MAX:
        return f"invalid length: found {len(text)}"
    for at, char in enumerate(text):
        if char not in _HEX:
            return f"invalid character: found `{char}` at {at}"
    groups = text.split("-")
    if len(groups) == 1:
        return None if len(text) == 32 else f"invalid length: found {len(text)}"
    if len(groups) != 5:
        return f"invalid group count: expected 5, found {len(groups)}"
    for number, (group, length) in enumerate(zip(groups, (8, 4, 4, 4, 12), strict=True)):
        if len(group) != length:
            return f"invalid group length in group {number}: expected {length}, found {len(group)}"
    return None


def _masked(name: str, value: str) -> str:
    if name.lower() != "authorization":
        return value
    kept = _BEARER if value.startswith(_BEARER) else ""
    return kept + masked(value[len(kept) :])


def _missing_url(id_: str) -> BadParameter:
    return BadParameter("invalid_webhook_url", f"The URL for the webhook `{id_}` is missing.")


def _check_count(id_: str, headers: Mapping[str, Any]) -> None:
    if len(headers) > HEADERS_MAX:
        raise BadParameter(
            "invalid_webhook_headers",
            f"Too many headers for the webhook `{id_}`. Please limit the number of headers to "
            "200. Hint: To remove an already defined header set its value to `null`",
        )


def _checked(id_: str, definition: Definition) -> Definition:
    if not definition.url:
        raise _missing_url(id_)
    for name, value in sorted(definition.headers.items()):
        fault = None
        if not _HEADER_NAME.fullmatch(name):
            fault = f"Invalid header name `{name}`: invalid HTTP header name"
        elif not _HEADER_VALUE.fullmatch(value):
            fault = f"Invalid header value `{name}`: failed to parse header value"
        if fault is not None:
            raise BadParameter("invalid_webhook_headers", fault)
    reason = url_fault(definition.url)
    if reason is not None:
        raise BadParameter("invalid_webhook_url", f"Invalid URL `{definition.url}`: {reason}")
    return definition


def url_fault(url: str) -> str | None:
    """Return what is wrong with a URL, in the words of the `url` crate; None if nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return "invalid port number" if "ort" in str(error) else "invalid IPv6 address"
    if not parts.scheme:
        return "relative URL without a base"
    if parts.scheme not in {"http", "https"}:
        return None  # As on one node: taken, and never reached.
    if not parts.hostname:
        return "empty host"
    if any(char in ' <>^`{|}%"\\' for char in parts.hostname):
        return "invalid international domain name"
    return "invalid port number" if port is not None and port < 0 else None

"""
Structured logs on standard error: one event per line, JSON or for the eye.

Secrets are kept out twice: a value under a key whose name speaks of keys or tokens is masked, and
so is any known secret wherever it stands, in the event, a value, a traceback or a line of a
library. Masking is the last step before rendering; nothing may be put behind it.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

from miroir.telemetry.known_secrets import MASK, KnownSecrets

_SENSITIVE: Final = re.compile(r"key|authorization|secret|password|token", re.IGNORECASE)
# Names with "key" in them that hold no secret, and without which an event says little.
_HARMLESS: Final = frozenset({"primary_key", "primaryKey", "settings_key", "settings_keys"})
_DEPTH_MAX: Final = 8
_EVENT_KEYS: Final = frozenset({"event", "level", "timestamp", "logger"})


class Redactor:
    """A structlog processor that masks secrets in the whole event."""

    def __init__(self, secrets: KnownSecrets) -> None:
        self._secrets = secrets

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """See structlog's processors."""
        return {
            key: value if key.startswith("_") else self._named(key, value, 0)
            for key, value in event.items()
        }

    def _named(self, key: object, value: object, depth: int) -> object:
        name = str(key)
        if name not in _EVENT_KEYS and name not in _HARMLESS and _SENSITIVE.search(name):
            # None and flags tell whether there is a secret, not what it is.
            return value if value is None or isinstance(value, bool) else MASK
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth == _DEPTH_MAX:
            return MASK
        if isinstance(value, Mapping):
            return {
                self._secrets.out_of(str(key)): self._named(key, inner, depth + 1)
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth + 1) for item in value]
        return self._secrets.out_of(
            value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        )


def set_up_logs(
    style: Literal["auto", "json", "console"],
    level: Literal["debug", "info", "warning", "error"],
    *,
    secrets: KnownSecrets,
    stream: TextIO | None = None,
) -> None:
    """
    Send structlog's events and the standard library's records to `stream` (standard error).

    `auto` is console on a terminal and JSON otherwise. A repeated call replaces the set-up.
    """
    stream = stream or sys.stderr
    for_the_eye = style == "console" or (style == "auto" and stream.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=_last_steps(Redactor(secrets), stream, for_the_eye=for_the_eye),
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _last_steps(
    redactor: Redactor, stream: TextIO, *, for_the_eye: bool
) -> list[structlog.typing.Processor]:
    """Exceptions become text first, so that the redactor sees them too."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
        if for_the_eye
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        redactor,
        renderer,
    ]

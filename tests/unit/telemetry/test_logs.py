"""What must never be readable in a log."""

import io
import json
import logging

import pytest
import structlog

from miroir.config import Secret
from miroir.telemetry import KnownSecrets, set_up_logs

SECRET = "hunter2-hunter2"


@pytest.fixture
def logged():
    """Set logs up as JSON; return a function that gives the events written since."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    set_up_logs("json", "info", secrets=KnownSecrets([SECRET]), stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def test_a_known_secret_is_masked_wherever_it_stands(logged):
    """Keys reach logs inside urls, tracebacks and other people's libraries."""
    log = structlog.get_logger("test")
    try:
        raise ValueError(f"cannot use {SECRET}")
    except ValueError:
        log.exception("boom", url=f"http://x/?k={SECRET}", deep={"list": [SECRET.encode()]})
    logging.getLogger("a.library").warning("sent %s", SECRET)
    events = logged()
    assert [event["event"] for event in events] == ["boom", "sent ***"]
    assert "ValueError: cannot use ***" in events[0]["exception"]
    assert events[0]["deep"] == {"list": ["***"]}
    assert SECRET not in json.dumps(events)


def test_a_value_named_like_a_key_is_masked_though_nobody_knows_it(logged):
    """Clients' keys are not in the configuration."""
    structlog.get_logger().info(
        "request",
        headers={"Authorization": "Bearer x"},
        api_key="x",
        apiKey=None,
        primary_key="id",
    )
    (event,) = logged()
    assert event["headers"] == {"Authorization": "***"}
    assert (event["api_key"], event["apiKey"], event["primary_key"]) == ("***", None, "id")


def test_a_wrapped_secret_masks_itself(logged):
    """Whoever logs the configuration logs no key."""
    structlog.get_logger().info("started", config=Secret("unknown-to-the-redactor"))
    assert logged()[0]["config"] == "***"


def test_lines_for_the_eye_are_masked_too():
    """The console form takes another renderer, not another rule."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    set_up_logs("console", "info", secrets=KnownSecrets([SECRET]), stream=stream)
    structlog.get_logger().info("hello", value=SECRET)
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    assert "value=***" in stream.getvalue()
    assert "\x1b" not in stream.getvalue(), "no colours where there is no terminal"

"""When node tasks started and ended: what durations in the history are made of."""

import pytest

from miroir.core.moments import moment_ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-05-01T12:34:56.123456789Z", 1714566896123),  # date -d ... +%s%3N
        ("2024-05-01T12:34:56.1Z", 1714566896100),
        ("2024-05-01T14:34:56.123+02:00", 1714566896123),
    ],
)
def test_what_nodes_write_is_read(text, ms):
    """Meilisearch writes nanoseconds and leaves trailing zeros out."""
    assert moment_ms(text) == ms


@pytest.mark.parametrize("text", [None, "", "yesterday", "2024-05-01T12:34:56", "2024-13-01"])
def test_what_cannot_be_read_is_no_moment(text):
    """A node that writes something else must not be able to stop a settings change."""
    assert moment_ms(text) is None

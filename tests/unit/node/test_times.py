"""Times as the API prints and reads them."""

import pytest

from miroir.node.times import (
    iso_duration,
    next_day,
    parse_day,
    parse_moment,
    parse_rfc3339,
    rfc3339,
)

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000 * SECOND + 120_000_000, "2023-11-14T22:13:20.12Z"),
        (1_700_000_000 * SECOND + 1, "2023-11-14T22:13:20.000000001Z"),
    ],
)
def test_a_moment_is_read_back_as_it_was_printed(moment: int, text: str):
    """The task feed compares times as text and as numbers."""
    assert rfc3339(moment) == text
    assert parse_rfc3339(text) == moment


def test_a_zone_is_taken_into_account():
    """An expiry two hours east of Greenwich is over two hours earlier."""
    assert parse_rfc3339("2023-11-15T00:13:20+02:00") == 1_700_000_000 * SECOND
    assert parse_moment("2023-11-14 22:13:20") == 1_700_000_000 * SECOND


@pytest.mark.parametrize("text", ["", "2023", "2023-02-30", "2023-02-30T00:00:00Z", "tomorrow"])
def test_what_names_no_moment_is_none(text: str):
    """A wrong date must become an error, not the year 1970."""
    assert parse_moment(text) is None


def test_the_day_after_is_a_day_later():
    """`afterEnqueuedAt=2023-11-14` leaves the whole day out."""
    day = parse_day("2023-11-14")
    assert day is not None
    assert rfc3339(next_day(day)) == "2023-11-15T00:00:00Z"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "PT0S"),
        (5 * SECOND, "PT5S"),
        (12_000_000, "PT0.012S"),
        (12_345_000, "PT0.012345S"),
        (12_345_678, "PT0.012345678S"),
        (86_400 * SECOND, "P1D"),
        (86_401 * SECOND, "P1DT1S"),
        (-1, "PT0S"),
    ],
)
def test_spans_have_three_six_or_nine_decimals(span: int, text: str):
    """As Meilisearch prints them (tasks/mod.rs, `serialize_duration`)."""
    assert iso_duration(span) == text

"""Numbers in parameters, read as a node reads them."""

import pytest

from miroir.core.numbers import U32_MAX, unsigned


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("20", 20), ("+20", 20), ("007", 7), (str(2**64 - 1), 2**64 - 1)],
)
def test_what_a_node_takes_for_a_number_is_that_number(text, value):
    """A window computed from another number than the node's would cut the wrong hits."""
    assert unsigned(text) == value


@pytest.mark.parametrize(
    "text", ["", "-1", "1.0", "1e3", " 1", "٣", "++1", str(2**64), "9" * 5000]
)
def test_what_a_node_refuses_is_no_number(text):
    """It goes on to the node as it is, which words the refusal."""
    assert unsigned(text) is None


def test_the_greatest_number_can_be_lowered():
    """Task uids are smaller than other counts."""
    assert unsigned(str(U32_MAX), U32_MAX) == U32_MAX
    assert unsigned(str(U32_MAX + 1), U32_MAX) is None

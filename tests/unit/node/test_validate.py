"""Checks of JSON values: what they accept, and how they word a refusal."""

from typing import Any

import pytest

from miroir.node.errors import ApiError
from miroir.node.validate import (
    Check,
    Member,
    Place,
    array,
    boolean,
    did_you_mean,
    mapping,
    non_zero,
    nullable,
    number,
    one_of,
    string,
    struct,
    unsigned,
)


def refusal(check: Check, value: Any, place: Place | None = None) -> str:
    """Return the message of the refusal of a value."""
    with pytest.raises(ApiError) as caught:
        check(value, place or Place("a_code", ".x"))
    return caught.value.message


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (string, 3, "expected a string, but found a positive integer: `3`"),
        (string, None, "expected a string, but found null"),
        (boolean, -1, "expected a boolean, but found a negative integer: `-1`"),
        (number, True, "expected a number, but found a boolean: `true`"),
        (unsigned(), 1.5, "expected a positive integer, but found a number: `1.5`"),
        (unsigned(), True, "expected a positive integer, but found a boolean: `true`"),
        (array(string), {"a": "b"}, 'expected an array, but found an object: `{"a":"b"}`'),
        (mapping(string), [1], "expected an object, but found an array: `[1]`"),
    ],
)
def test_a_wrong_type_names_place_and_value(check: Check, value: Any, message: str):
    """The user must find the value in a large body."""
    assert refusal(check, value) == f"Invalid value type at `.x`: {message}"
    assert refusal(check, value, Place()) == f"Invalid value type: {message}"


def test_limits_of_integers_are_named():
    """u8 settings and non-zero limits have sentences of their own."""
    too_large = "value: `256` is too large to be deserialized, maximum value authorized is `255`"
    assert refusal(unsigned(255), 256) == f"Invalid value at `.x`: {too_large}"
    assert "a non-zero integer value lower than" in refusal(non_zero, 0)
    assert unsigned(255)(255, Place()) == 255


def test_the_place_of_a_nested_fault_is_a_path():
    """And its code is the nearest one that a member has."""
    check = struct(a=Member(array(struct(b=Member(string, "b_code"))), "a_code"))
    with pytest.raises(ApiError) as caught:
        check({"a": [{}, {"b": 1}]}, Place())
    assert caught.value.message.startswith("Invalid value type at `.a[1].b`: ")
    assert caught.value.code == "b_code"


def test_unknown_members_are_listed_with_a_guess():
    """A typo should cost seconds, not a search in the documentation."""
    check = struct(indexes=Member(string), name=Member(string))
    assert refusal(check, {"indexs": 1}) == (
        "Unknown field `indexs` inside `.x`: did you mean `indexes`? "
        "expected one of `indexes`, `name`"
    )
    assert refusal(check, {"foo": 1}) == (
        "Unknown field `foo` inside `.x`: expected one of `indexes`, `name`"
    )


def test_a_missing_member_has_its_own_code():
    """`missing_index_uid` is not `invalid_index_uid`."""
    check = struct(uid=Member(string, "bad", required=True, missing_code="missing"))
    with pytest.raises(ApiError) as caught:
        check({}, Place())
    assert (caught.value.code, caught.value.message) == ("missing", "Missing field `uid`")


def test_null_passes_only_where_it_may():
    """null resets settings, but is no string."""
    assert nullable(string)(None, Place()) is None
    assert refusal(one_of("a", "b"), "c").startswith("Unknown value `c` at `.x`: expected one of")


@pytest.mark.parametrize(
    ("received", "guess"), [("abc", ""), ("limt", "limit"), ("lmt", ""), ("ofset", "offset")]
)
def test_guesses_need_few_typos_for_the_length(received: str, guess: str):
    """Three letters are never corrected: everything is near to them."""
    expected = f"did you mean `{guess}`? " if guess else ""
    assert did_you_mean(received, ["limit", "offset"]) == expected

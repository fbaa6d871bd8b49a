"""What can be a webhook, what a change makes of it, and what is shown; words from 1.50 itself."""

import pytest

from miroir.core import webhooks
from miroir.core.webhooks import NIL, Definition, changed, made, read_uuid, shown, url_fault
from miroir.errors import BadParameter

ID = "5fdd64e3-53c5-4258-a10a-359f4040ff03"


def refusal(call, *arguments):
    """Return code and message of a refusal."""
    with pytest.raises(BadParameter) as refused:
        call(*arguments)
    return refused.value.code, str(refused.value)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("Bearer abcdefghijklmnopqrstuvw", "Bearer abcXXXXX..."),
        ("Bearer short", "Bearer XXX..."),
        ("Basic abcdefghijkl", "BaXXXX..."),
        ("x" * 40, "xxxxxXXXXXX..."),
    ],
)
def test_a_token_is_shown_masked_whatever_its_header_is_called(value, seen):
    """Names of headers know no case, and whoever lists webhooks must not learn the token."""
    for name in ("authorization", "Authorization", "AUTHORIZATION"):
        view = shown(ID, Definition("https://a/", {name: value, "X-B": "plain"}))
        assert view["headers"] == {name: seen, "X-B": "plain"}


def test_the_one_of_the_configuration_is_not_editable():
    """It would be back after the next start."""
    assert shown(NIL, Definition("https://a/"))["isEditable"] is False
    assert shown(ID, Definition("https://a/"))["isEditable"] is True
    code, message = refusal(webhooks.check_editable, NIL)
    assert code == "immutable_webhook"
    assert message.startswith(f"Webhook `{NIL}` is immutable.")
    webhooks.check_editable(ID)


def test_a_creation_takes_null_headers_for_empty_ones():
    """As on one node."""
    assert made(ID, {"url": "http://a_b/", "headers": {"x": None}}) == Definition(
        "http://a_b/", {"x": ""}
    )
    assert made(ID, {"url": "http://a/", "headers": None}) == Definition("http://a/")


def test_a_change_merges_headers_and_takes_out_those_that_are_null():
    """A client changes one header without knowing the others, which it is not shown."""
    before = Definition("http://a/", {"A": "1", "B": "2"})

    assert changed(ID, before, {}) == before
    assert changed(ID, before, {"headers": {"B": None, "C": "3"}}).headers == {"A": "1", "C": "3"}
    assert changed(ID, before, {"headers": None}).headers == {}
    assert changed(ID, before, {"url": "http://b/"}) == Definition("http://b/", before.headers)


@pytest.mark.parametrize("asked", [{}, {"url": None}, {"url": ""}])
def test_a_webhook_needs_an_address(asked):
    """It is named with the uuid that it would have had."""
    said = ("invalid_webhook_url", f"The URL for the webhook `{ID}` is missing.")
    assert refusal(made, ID, asked) == said


def test_an_address_cannot_be_taken_away():
    """A webhook without one would tell nobody."""
    said = ("invalid_webhook_url", f"The URL for the webhook `{ID}` is missing.")
    assert refusal(changed, ID, Definition("http://a/"), {"url": None}) == said


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"a b": "z"}, "Invalid header name `a b`: invalid HTTP header name"),
        ({"": "z"}, "Invalid header name ``: invalid HTTP header name"),
        ({"a": "z\n"}, "Invalid header value `a`: failed to parse header value"),
        ({"a": "z\r\nX: y"}, "Invalid header value `a`: failed to parse header value"),
        ({"a": "é"}, "Invalid header value `a`: failed to parse header value"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers, message):
    """A line break in one would begin another header, or another request."""
    asked = {"url": "http://a/", "headers": headers}
    assert refusal(made, ID, asked) == ("invalid_webhook_headers", message)


def test_there_can_be_two_hundred_headers_and_no_more():
    """As on one node; counted after the change."""
    full = {f"h{n}": "" for n in range(200)}
    assert len(made(ID, {"url": "http://a/", "headers": full}).headers) == 200
    before = Definition("http://a/", full)
    code, message = refusal(changed, ID, before, {"headers": {"one": "more"}})
    assert code == "invalid_webhook_headers"
    assert message.startswith(f"Too many headers for the webhook `{ID}`.")
    assert len(changed(ID, before, {"headers": {"one": "more", "h0": None}}).headers) == 200


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://a.b/c?d=e", None),
        ("ftp://x/y", None),
        ("mailto:a", None),
        ("http://[::1]:80/", None),
        ("foo", "relative URL without a base"),
        ("http://", "empty host"),
        ("http://a:99999/", "invalid port number"),
        ("http://[::/", "invalid IPv6 address"),
        ("http://a b/", "invalid international domain name"),
    ],
)
def test_urls_are_judged_in_the_words_of_a_node(url, fault):
    """Golden: what 1.50 answered."""
    assert url_fault(url) == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("foo", "invalid character: found `o` at 1"),
        ("6f0-1", "invalid group count: expected 5, found 2"),
        ("zzzzzzzz-0000-0000-0000-000000000000", "invalid character: found `z` at 0"),
        ("", "invalid length: found 0"),
        ("abc", "invalid length: found 3"),
        ("5fdd64e3-53c5-4258-a10a-359f4040ff0", None),
    ],
)
def test_what_is_no_uuid_is_refused_in_the_words_of_a_node(text, fault):
    """Golden, but for the last: 1.50 counts the digits of a group."""
    fault = fault or "invalid group length in group 4: expected 12, found 11"
    assert refusal(read_uuid, text) == ("invalid_webhook_uuid", f"Invalid UUID: {fault}")


def test_a_uuid_is_known_with_and_without_dashes():
    """Both are the same webhook."""
    assert read_uuid(ID.upper()) == read_uuid(ID.replace("-", "")) == read_uuid(ID) == ID

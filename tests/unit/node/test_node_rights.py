"""Actions, keys and tenant tokens; the answers themselves are in the recordings."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from miroir.node.actions import ACTIONS, expanded, is_global
from miroir.node.auth import authorize
from miroir.node.errors import ApiError
from miroir.node.keys import Keys
from miroir.node.store import Store
from miroir.node.tenant import read_token

UID = "4bc0887a-0e41-4f3b-935d-0c451dcee9c8"


@pytest.fixture
def keys(tmp_path: Path):
    """The keys of a node with the master key of Meilisearch's own tests."""
    store = Store(tmp_path)
    yield Keys(store, "MASTER_KEY")
    store.close()


def test_the_value_of_a_key_follows_from_master_key_and_uid(keys: Keys):
    """The golden value is from Meilisearch's tests: equal keys on every node rest on it."""
    expected = "d9e776b8412f1db6974c9a5556b961c3559440b6588216f4ea5d9ed49f7c8f3c"
    assert keys.value(UID) == expected


def test_default_keys_are_made_once(keys: Keys, tmp_path: Path):
    """A restart must not double them."""
    names = [key.name for key in keys.all()]
    assert names == [
        "Default Search API Key", "Default Admin API Key", "Default Read-Only Admin API Key",
        "Default Chat API Key",
    ]  # fmt: skip
    store = Store(tmp_path)
    assert [key.uid for key in Keys(store, "MASTER_KEY").all()] == [key.uid for key in keys.all()]
    store.close()


def test_collective_actions_stand_for_their_single_ones():
    """`*.get` reads everything but keys."""
    assert expanded(["documents.*"]) == {"documents.add", "documents.get", "documents.delete"}
    assert "keys.get" in expanded(["*"])
    reads = expanded(["*.get"])
    assert {"settings.get", "search", "version"} <= reads
    assert not reads & {"keys.get", "settings.update", "documents.add"}
    assert {action for action in ACTIONS if is_global(action)} >= {"version", "keys.get", "export"}


def _token(claims: dict, secret: str) -> str:
    def part(value: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_tenant_token_narrows_the_key_that_signed_it(keys: Keys):
    """The filter of the nearest pattern applies; a forged token is refused."""
    rules = {"*": None, "mov*": {"filter": "a = 1"}, "movies": {"filter": "b = 2"}}
    claims = {"apiKeyUid": UID, "searchRules": rules}
    token = read_token(_token(claims, keys.value(UID)), keys.value)
    assert token is not None
    assert [token.rule_of(uid) for uid in ("books", "move", "movies")] == [None, "a = 1", "b = 2"]
    with pytest.raises(ApiError, match="InvalidSignature"):
        read_token(_token(claims, "another secret"), keys.value)
    assert read_token("no.token", keys.value) is None


def test_rights_are_those_of_the_key_and_never_more(keys: Keys):
    """An expired or foreign key opens nothing; without a header there is nothing to open."""
    body = {"uid": UID, "actions": ["search"], "indexes": ["m*"], "expiresAt": None}
    value = keys.value(keys.create(body).uid)
    access = authorize(keys, f"Bearer {value}", "search", "movies")
    assert access.covers("movies")
    assert not access.covers("books")
    assert not access.may_create_index("movies")
    for header, action, index, status in (
        (f"Bearer {value}", "search", "books", 403),
        (f"Bearer {value}", "documents.get", "movies", 403),
        (f"Bearer {value}", "keys.get", None, 403),
        ("Bearer nope", "search", "movies", 403),
        (None, "search", "movies", 401),
        ("Basic x", "search", "movies", 401),
    ):
        with pytest.raises(ApiError) as caught:
            authorize(keys, header, action, index)
        assert caught.value.status == status
    keys.delete(UID)
    with pytest.raises(ApiError):
        authorize(keys, f"Bearer {value}", "search", "movies")


UNREADABLE = {
    '{"tamo":"kefir"}': "missing field `searchRules` at line 1 column 16",
    '{"searchRules":["*"]}': "missing field `apiKeyUid` at line 1 column 21",
    '{"searchRules":[1],"apiKeyUid":"x"}': (
        "data did not match any variant of untagged enum SearchRules at line 1 column 18"
    ),
    '{"searchRules":{"a":1}}': (
        "data did not match any variant of untagged enum SearchRules at line 1 column 23"
    ),
    '{"exp":"x","searchRules":[]}': ('invalid type: string "x", expected i64 at line 1 column 10'),
    '{"apiKeyUid":1}': (
        "invalid type: integer `1`, expected a formatted UUID string at line 1 column 14"
    ),
    "hello": "expected value at line 1 column 1",
}


@pytest.mark.parametrize("claims", UNREADABLE)
def test_claims_of_a_wrong_form_are_refused_in_words(keys: Keys, claims: str):
    """An end that is no number once meant no end at all, and rules that are none a crash."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(claims.encode()).rstrip(b"=").decode()
    with pytest.raises(ApiError) as refused:
        read_token(f"{head}.{body}.AAAA", keys.value)
    expected = f"Could not decode tenant token, JSON error: {UNREADABLE[claims]}."
    assert (refused.value.code, refused.value.message) == ("invalid_api_key", expected)


def test_a_token_with_padding_or_of_a_foreign_kind_is_refused(keys: Keys):
    """What Meilisearch refuses must not open a node of the tests."""
    token = _token({"searchRules": ["*"], "apiKeyUid": UID}, keys.value(UID))
    assert read_token(token, keys.value) is not None
    with pytest.raises(ApiError, match="Base64 error: Invalid padding"):
        read_token(f"{token}=", keys.value)
    head = base64.urlsafe_b64encode(b'{"alg":"RS256"}').rstrip(b"=").decode()
    with pytest.raises(ApiError, match="InvalidAlgorithm"):
        read_token(f"{head}.{token.partition('.')[2]}", keys.value)

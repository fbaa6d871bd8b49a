"""What a key opens. The words are Meilisearch 1.50's."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import orjson
import pytest

from miroir.core import rights
from miroir.errors import InvalidApiKey

NOW = datetime(2026, 11, 23, tzinfo=UTC)
UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"
VALUE = "7e22ef6b2d9e9198f0aec8f5a12d65adb68ffab8bb2d904cbb56c58765b5aec8"


def key(actions=("search",), indexes=("movies",), expires=None):
    return {"actions": list(actions), "indexes": list(indexes), "expiresAt": expires}


def refusal(*args, **more):
    with pytest.raises(InvalidApiKey) as caught:
        rights.check(*args, now=NOW, **more)
    return caught.value.message


def coded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def token(claims, secret=VALUE, algorithm="HS256"):
    head = coded(orjson.dumps({"alg": algorithm, "typ": "JWT"}))
    signed = f"{head}.{coded(orjson.dumps(claims))}"
    hash_ = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}.get(str(algorithm), hashlib.sha512)
    return f"{signed}.{coded(hmac.new(secret.encode(), signed.encode(), hash_).digest())}"


@pytest.mark.parametrize(
    ("listed", "action", "allowed"),
    [
        ("search", "search", True),
        ("search", "documents.get", False),
        ("*", "keys.delete", True),
        ("*", "documents.add", True),
        ("documents.*", "documents.add", True),
        ("documents.*", "indexes.get", False),
        ("chats.*", "chatsSettings.get", False),
        ("*.get", "tasks.get", True),
        ("*.get", "search", True),
        ("*.get", "version", True),
        ("*.get", "keys.get", False),
        ("*.get", "documents.add", False),
        ("keys.get", "keys.get", True),
        ("keys.*", "keys.get", False),
    ],
)
def test_an_action_is_allowed_by_its_name_or_by_one_that_stands_for_it(listed, action, allowed):
    """`*.get` reads all but keys, so that nobody climbs from it; there is no `keys.*`."""
    assert rights.allows(key(actions=[listed]), action) is allowed


@pytest.mark.parametrize(
    ("patterns", "uid", "covered"),
    [
        (["*"], "movies", True),
        (["mov*"], "movies", True),
        (["movies"], "movies", True),
        (["mov"], "movies", False),
        (["books*"], "movies", False),
        ([], "movies", False),
    ],
)
def test_an_index_is_covered_by_its_name_or_by_the_beginning_of_it(patterns, uid, covered):
    """A wrong pattern would open somebody else's index."""
    assert rights.covers(patterns, uid) is covered


def test_an_allowed_action_on_an_allowed_index_passes():
    """The rule that all the others are exceptions of."""
    rights.check(key(), "search", "movies", now=NOW)
    rights.check(key(expires="2030-01-01"), "search", "movies", now=NOW)


def test_another_index_is_refused_with_those_that_are_allowed():
    """Clients see this text; it is the engine's, its spelling included."""
    said = refusal(key(indexes=["movies", "books"]), "search", "secrets")

    assert said == (
        'The API key cannot acces the index `secrets`, authorized indexes are ["books", "movies"].'
    )


def test_another_action_and_an_expired_key_are_refused_without_a_reason():
    """Which of the two it was is nobody's business."""
    assert refusal(key(), "documents.add", "movies") == "The provided API key is invalid."
    old = key(expires="2026-11-22T23:59:59Z")
    assert refusal(old, "search", "movies") == "The provided API key is invalid."


def test_a_key_of_some_indexes_opens_no_global_route():
    """`documents.add` without an index in the path exists nowhere; `version` is not per index."""
    assert refusal(key(actions=["*"]), "version", None) == "The provided API key is invalid."
    rights.check(key(actions=["*"]), "indexes.get", None, now=NOW)
    rights.check(key(actions=["*"], indexes=["*"]), "version", None, now=NOW)


def test_a_tenant_token_is_read_and_its_signature_checked():
    """It is made by somebody else's program with the value of the key alone."""
    for algorithm in ("HS256", "HS384", "HS512"):
        claims = {"apiKeyUid": UID, "searchRules": ["movies"], "exp": int(NOW.timestamp()) + 1}
        read = rights.read_token(token(claims, algorithm=algorithm))

        assert (read.key_uid, set(read.rules)) == (UID, {"movies"})
        rights.check_token(read, VALUE, now=NOW)
        with pytest.raises(InvalidApiKey, match="Could not decode tenant token, InvalidSignature"):
            rights.check_token(read, VALUE.replace("7", "8"), now=NOW)


def test_a_token_of_the_past_is_refused():
    """Short life is what tenant tokens are for."""
    read = rights.read_token(token({"apiKeyUid": UID, "searchRules": {}, "exp": 12}))

    with pytest.raises(InvalidApiKey, match="Was valid up to `12` and we're now `1795392000`"):
        rights.check_token(read, VALUE, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        VALUE,
        "a.b.c",
        "a.b",
        token({"apiKeyUid": "nope", "searchRules": []}),
        token({"apiKeyUid": UID}),
        token({"apiKeyUid": UID, "searchRules": "movies"}),
        token({"apiKeyUid": UID, "searchRules": ["*"]}, algorithm="none"),
        token({"apiKeyUid": UID, "searchRules": ["*"]}, algorithm=["HS256"]),
        token({"apiKeyUid": 3, "searchRules": ["*"]}),
        token({"apiKeyUid": UID, "searchRules": ["*"], "exp": "soon"}),
    ],
)
def test_anything_else_is_no_tenant_token(text):
    """An algorithm of `none` would let anybody sign."""
    assert rights.read_token(text) is None


def test_a_token_opens_what_both_its_rules_and_its_key_cover():
    """A tenant can give away less than its key has, never more."""
    read = rights.read_token(token({"apiKeyUid": UID, "searchRules": {"mov*": None, "x": None}}))

    rights.check(key(), "search", "movies", now=NOW, token=read)
    assert refusal(key(indexes=["*"]), "search", "books", token=read) == (
        "The provided tenant token cannot acces the index `books`, "
        'allowed indexes are ["mov*", "x"].'
    )
    assert refusal(key(), "search", "x", token=read) == (
        "The API key used to generate this tenant token cannot acces the index `x`."
    )

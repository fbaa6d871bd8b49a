"""What is taken out of texts, and what is left in them."""

import orjson

from miroir.telemetry import KnownSecrets

NASTY = 'a+"nasty"/secret\\'


def test_a_secret_is_found_in_each_form_in_which_it_is_quoted():
    """Engines quote in sentences, embedding servers in JSON, HTTP clients in URLs."""
    known = KnownSecrets()
    known.learn([NASTY])
    said = f"refused {NASTY}, http://x/?k=a%2B%22nasty%22%2Fsecret%5C"
    assert known.out_of(said) == "refused ***, http://x/?k=***"
    body = orjson.dumps({"message": said, "code": "internal"})
    assert orjson.loads(known.out_of_body(body)) == {
        "message": "refused ***, http://x/?k=***",
        "code": "internal",
    }


def test_the_longer_of_two_secrets_goes_first():
    """Else the end of the longer one would stay readable."""
    known = KnownSecrets(["abcd", "abcd-and-more"])
    assert known.out_of("is abcd-and-more") == "is ***"


def test_short_words_of_settings_are_no_secrets():
    """An embedder whose key is `test` would blot out every index of that name."""
    known = KnownSecrets(["four"])
    known.learn(["test", ""])
    assert known.out_of("test four") == "test ***"


def test_the_newest_are_kept():
    """Keys are made and changed for years; what is sent again is new again."""
    known = KnownSecrets(["my-own-one"])
    known.learn(f"secret-{n:05}" for n in range(4096))
    known.learn(["secret-00000", "secret-99999"])
    said = "my-own-one secret-00000 secret-00001 secret-00002 secret-99999"
    assert known.out_of(said) == "*** *** secret-00001 *** ***"


def test_values_of_keys_are_found_by_their_form():
    """Thousands of keys must not make every error thousands of searches."""
    known = KnownSecrets()
    known.learn(f"{n:064x}" for n in range(5000))
    forgotten, kept, stranger = f"{1:064x}", f"{4999:064x}", "f" * 64
    assert known.out_of(f"{forgotten} {kept}, {stranger}") == f"{forgotten} ***, {stranger}"


def test_a_body_that_is_no_text_stays_as_it_is():
    """A proxy's page, or bytes that somebody has cut."""
    known = KnownSecrets(["planted-one"])
    assert known.out_of_body(b"\xff\xfe planted-one \xff") == b"\xff\xfe *** \xff"

"""A secret in a file, a log or a terminal is a secret no more."""

import pytest

from miroir.core.secret_places import (
    HIDDEN,
    is_reference,
    kept,
    places,
    redacted,
    referenced,
    resolved,
    scrubbed,
    secret_texts,
    shown,
)

LIVE = {
    "stopWords": ["env:PATH"],
    "embedders": {
        "my-small": {
            "source": "rest",
            "apiKey": "planted-1",
            "url": "https://user:planted-2@host/v1",
            "headers": {"X-Api-Key": "planted-3", "Accept": "json"},
        },
        "both": {
            "source": "composite",
            "searchEmbedder": {"apiKey": "planted-4", "url": "http://host/?token=planted-5"},
        },
        "rest": {
            "source": "rest",
            "url": "http://host/embed",
            "request": {
                "model": "text-embedding-3-small",
                "input": ["{{text}}", "{{..}}"],
                "key": "{{text}}",
                "max_tokens": 512,
                "api_key": "planted-6",
                "options": [{"authToken": "planted-7"}, {"keyword": "fine"}],
                "proxy": "http://me:planted-8@proxy",
                "extra": "Bearer planted-9-and-more",
            },
            "response": {"data": ["{{embedding}}", "{{..}}"]},
            "headers": {"X-Custom": "sk-planted-10-and-more", "X-Trace": "on"},
            "indexingFragments": {"f": {"value": {"secret": {"deep": "planted-11"}}}},
        },
        "open": {"source": "ollama", "url": "http://host/api", "apiKey": None},
    },
}


def test_every_place_of_a_secret_is_known_also_those_that_nodes_do_not_mask():
    """Nodes mask the outermost `apiKey` alone (facts 1.3)."""
    assert [value[:7] for _, value in places(LIVE) if "planted" in value] == [
        "planted", "https:/", "planted", "planted", "http://",
        "planted", "planted", "http://", "Bearer ", "sk-plan", "planted",
    ]  # fmt: skip
    assert len(list(places(LIVE))) == 11


def test_nothing_of_a_secret_is_left_in_what_is_shown_or_written():
    """Both are for everybody."""
    assert "planted" not in str(shown(LIVE))
    assert "planted" not in str(referenced(LIVE, "movies"))
    assert shown(LIVE)["embedders"]["my-small"]["headers"] == {
        "X-Api-Key": HIDDEN,
        "Accept": "json",
    }


def test_references_have_names_that_a_shell_takes_and_a_person_understands():
    """They are typed into the settings of a CI system."""
    written = referenced(LIVE, "2-movies.v1")["embedders"]
    assert written["my-small"]["apiKey"] == "env:INDEX_2_MOVIES_V1_MY_SMALL_API_KEY"
    assert written["my-small"]["headers"]["X-Api-Key"].endswith("_MY_SMALL_HEADERS_X_API_KEY")
    named = [value for _, value in places(referenced(LIVE, "movies"))]
    assert all(is_reference(name) for name in named)
    assert len(set(named)) == len(named)


def test_a_reference_is_shown_and_elsewhere_it_is_a_word():
    """`env:PATH` may be a stop word."""
    assert shown(referenced(LIVE, "m"))["embedders"]["both"]["searchEmbedder"]["apiKey"] == (
        "env:M_BOTH_SEARCH_EMBEDDER_API_KEY"
    )
    assert resolved(LIVE, lambda _: "planted")[0]["stopWords"] == ["env:PATH"]


def test_what_is_looked_up_is_filled_in_and_what_is_not_there_left_out():
    """Sending an empty key, or the reference itself, would break the embedder."""
    written = referenced(LIVE, "movies")
    secrets = {"env:MOVIES_MY_SMALL_API_KEY": "found"}
    filled, missing = resolved(written, secrets.get)
    assert filled["embedders"]["my-small"]["apiKey"] == "found"
    assert "apiKey" not in filled["embedders"]["both"]["searchEmbedder"]
    assert len(missing) == 10
    assert kept(filled, LIVE, missing)["embedders"]["both"] == LIVE["embedders"]["both"]
    assert written == referenced(LIVE, "movies"), "the argument was changed"


@pytest.mark.parametrize("text", ["env:", "env:A B", "file:", "sk-env:X", "ENV:X", 5])
def test_what_only_looks_like_a_reference_is_none(text):
    """It would be taken for the secret's place and never found."""
    assert not is_reference(text)


def test_a_value_within_its_setting_is_hidden_by_its_path():
    """Differences are shown leaf by leaf."""
    assert redacted("embedders", "planted", ("x", "apiKey")) == HIDDEN
    assert redacted("synonyms", "apiKey", ("x", "apiKey")) == "apiKey"


def test_what_is_no_secret_stays_readable():
    """A file full of references to `{{text}}` would help nobody."""
    request = shown(LIVE)["embedders"]["rest"]["request"]
    assert request["model"] == "text-embedding-3-small"
    assert request["input"] == ["{{text}}", "{{..}}"]
    assert (request["key"], request["options"][1]) == ("{{text}}", {"keyword": "fine"})
    assert request["options"][0] == {"authToken": HIDDEN}


def test_references_within_lists_are_filled_in_at_their_place():
    """A list with an item less would be another request."""
    written = referenced(LIVE, "m")
    options = written["embedders"]["rest"]["request"]["options"]
    assert options[0]["authToken"] == "env:M_REST_REQUEST_OPTIONS_0_AUTH_TOKEN"
    assert resolved(written, lambda _: "found")[0]["embedders"]["rest"]["request"]["options"] == [
        {"authToken": "found"},
        {"keyword": "fine"},
    ]
    bare = {"embedders": {"e": {"request": {"input": ["{{text}}", "env:PLANTED"]}}}}
    filled, missing = resolved(bare, lambda _: None)
    assert filled["embedders"]["e"]["request"]["input"] == ["{{text}}", None]
    assert list(missing.values()) == ["env:PLANTED"]


@pytest.mark.parametrize(
    "said",
    [
        "could not reach `http://me:planted@host/embed`",
        "could not reach http://host/embed?x=1&token=planted: refused",
        'server replied {"sent": "Bearer planted-1234"}',
        "invalid key sk-planted-1234567",
        "known to be planted",
    ],
)
def test_what_an_engine_says_is_told_without_secrets(said):
    """It quotes addresses and answers of embedding servers word by word."""
    clean = scrubbed(said, ["planted", "env:PLANTED", ""])
    assert "planted" not in clean
    assert HIDDEN in clean
    assert said == "known to be planted" or "planted" not in scrubbed(said)


def test_an_embedder_may_be_called_anything():
    """Its name is nobody's place in a list, and no part of a body."""
    for name in ("1", "request", "headers", "apiKey"):
        embedders = {name: {"request": {"api_key": "planted"}, "url": "http://h/?k=planted"}}
        assert "planted" not in str(shown({"embedders": embedders})), name
        assert len(list(places({"embedders": embedders}))) == 2


def test_what_gives_a_secret_away_is_less_than_its_place():
    """Engines quote a part: the key of a header without its scheme, the password of a URL."""
    embedder = {
        "apiKey": "planted-1",
        "headers": {"Authorization": "Bearer planted-2", "Accept": "json"},
        "url": "https://user:planted%2B3@host/v1?api-version=2024-02-01&api_key=planted+4&b=c",
        "request": {"proxy": "http://[planted-5?x=1", "model": "small"},
    }
    assert set(secret_texts({"embedders": {"e": embedder}, "stopWords": ["planted"]})) == {
        "planted-1",
        "Bearer planted-2",
        "planted-2",
        embedder["url"],
        "planted+3",
        "planted 4",
        "http://[planted-5?x=1",
    }
    assert list(secret_texts({})) == []

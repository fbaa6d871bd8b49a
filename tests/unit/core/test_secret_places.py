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
        "open": {"source": "ollama", "url": "http://host/api", "apiKey": None},
    },
}


def test_every_place_of_a_secret_is_known_also_those_that_nodes_do_not_mask():
    """Nodes mask the outermost `apiKey` alone (facts 1.3)."""
    assert [value[:7] for _, value in places(LIVE) if "planted" in value] == [
        "planted", "https:/", "planted", "planted", "http://",
    ]  # fmt: skip
    assert len(list(places(LIVE))) == 5


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
    assert len(missing) == 4
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

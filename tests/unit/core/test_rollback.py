"""A rollback leads to the former settings from wherever the index stands."""

from miroir.core import rollback, settings as rules

FORMER = {**rules.defaults(), "stopWords": ["the"], "synonyms": {"a": ["b"]}}
NOW = {**rules.defaults(), "stopWords": ["a"], "displayedAttributes": ["id"]}


def test_the_target_is_the_former_version():
    """Nothing of the present may survive, merged or otherwise."""
    assert rollback.target(NOW, FORMER) == FORMER


def test_embedders_are_replaced_and_not_merged():
    """A PATCH merges by name: an embedder added since would stay, and cost money."""
    former = {**FORMER, "embedders": {"one": {"source": "userProvided", "dimensions": 3}}}
    now = {**NOW, "embedders": {"two": {"source": "userProvided", "dimensions": 4}}}
    assert rollback.target(now, former)["embedders"] == former["embedders"]


def test_a_key_that_engines_did_not_have_then_goes_to_its_default():
    """Left unnamed it would keep its value of today, in an index said to be rolled back."""
    former = {key: value for key, value in FORMER.items() if key != "facetSearch"}
    now = {**NOW, "facetSearch": False}
    assert rollback.target(now, former)["facetSearch"] is True


def test_a_key_that_nobody_knows_stays_as_it_is():
    """Nobody can say what its default is, so nobody could verify that it shows it."""
    assert rollback.target({**NOW, "rerank": "fast"}, FORMER)["rerank"] == "fast"


def test_the_patch_names_what_changes_and_nothing_else():
    """Named keys have to be known to every node; one that stays as it is need not be."""
    assert rollback.patch([NOW], FORMER) == {
        "stopWords": ["the"],
        "synonyms": {"a": ["b"]},
        "displayedAttributes": ["*"],
    }


def test_the_patch_names_what_changes_from_any_base_that_may_be_in_force():
    """A change that waits before the rollback may be aborted, and its base comes back."""
    queued = {**FORMER, "displayedAttributes": ["id"]}
    assert set(rollback.patch([queued], FORMER)) == {"displayedAttributes"}
    assert set(rollback.patch([NOW, queued], FORMER)) == {
        *("displayedAttributes", "stopWords", "synonyms"),
    }


def test_a_secret_that_differs_is_a_change():
    """Two keys of one provider look alike behind their masks."""
    one = {**FORMER, "embedders": {"e": {"source": "openAi", "apiKey": "first"}}}
    two = {**FORMER, "embedders": {"e": {"source": "openAi", "apiKey": "other"}}}
    assert rollback.patch([one], two) == {"embedders": two["embedders"]}


def test_a_key_that_no_node_shows_any_more_is_not_asked_for():
    """A version from the middle of an upgrade has keys that other nodes refuse as unknown."""
    former = {**FORMER, "rerank": "fast"}

    assert "rerank" not in rollback.patch([NOW], former)
    assert rollback.patch([{**NOW, "rerank": "slow"}], former)["rerank"] == "fast"


def test_a_key_that_is_not_in_force_and_goes_to_its_default_is_not_asked_for():
    """Beside an older node, which shows fewer keys, the rollback would be refused for it."""
    now = {key: value for key, value in NOW.items() if key != "facetSearch"}

    assert "facetSearch" not in rollback.patch([now], FORMER)
    assert rollback.patch([now], {**FORMER, "facetSearch": False})["facetSearch"] is False

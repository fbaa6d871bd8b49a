"""Targets, differences and patches: what a client's few keys mean for a whole cluster."""

from typing import Any

import pytest

from miroir.core import settings as rules

BASE = rules.defaults()
OPEN_AI = {"source": "openAi", "model": "m", "apiKey": "sk-0123456789"}
OWN = {"source": "userProvided", "dimensions": 3}


def embedders(**of: Any) -> dict[str, Any]:
    return {**BASE, "embedders": of}


def sizes(one: int, two: int) -> dict[str, Any]:
    return {"minWordSizeForTypos": {"oneTypo": one, "twoTypos": two}}


def test_the_table_names_every_setting_once() -> None:
    """A missing row would let a setting drift unseen."""
    assert len(rules.BY_KEY) == len(rules.BY_SEGMENT) == len(rules.TABLE) == 22


def test_hidden_settings_are_no_defaults() -> None:
    """Nodes do not show them while a feature is off, so they cannot be expected."""
    assert set(rules.BY_KEY) - set(BASE) == {"chat", "foreignKeys"}


# ---------------------------------------------------------------- resolve


def test_a_patch_leaves_the_other_keys_alone() -> None:
    """The full target is what is in force plus the patch."""
    target = rules.resolve(BASE, {"stopWords": ["the"]})
    assert target == {**BASE, "stopWords": ["the"]}


def test_null_resets() -> None:
    """null is no value, it is the default."""
    base = {**BASE, "rankingRules": ["words"], "typoTolerance": {"enabled": False}}
    assert rules.resolve(base, {"rankingRules": None, "typoTolerance": None}) == BASE


def test_delete_resets_every_key_in_force() -> None:
    """DELETE /settings of an index that knows more keys than this release."""
    base = {**BASE, "rankingRules": ["words"], "aNewKey": 1}
    assert rules.resolve(base, rules.reset_patch(base)) == {**BASE, "aNewKey": None}


def test_a_reset_means_keys_that_came_while_it_waited() -> None:
    """It was asked for after them: a change that was queued before it brought a new key."""
    came = {**BASE, "aNewKey": 1}
    assert rules.resolve(came, rules.reset_patch(BASE)) == {**BASE, "aNewKey": None}
    assert rules.resolve(came, {"stopWords": None}) == came


def test_an_unknown_key_replaces_whole() -> None:
    """Newer engines have keys that we do not know; the node judges them."""
    target = rules.resolve({**BASE, "aNewKey": {"a": 1}}, {"aNewKey": {"b": 2}})
    assert target["aNewKey"] == {"b": 2}


@pytest.mark.parametrize(
    ("patch", "leaf"),
    [
        ({"enabled": False}, {"enabled": False}),
        ({"enabled": None}, {"enabled": True}),
        ({"minWordSizeForTypos": {"oneTypo": 3}}, sizes(3, 12)),
        ({"minWordSizeForTypos": {"oneTypo": None}}, sizes(5, 12)),
        ({"minWordSizeForTypos": None}, sizes(5, 9)),
        ({"disableOnWords": None}, {"disableOnWords": []}),
    ],
)  # fmt: skip
def test_typo_tolerance_merges_leaf_by_leaf(patch: Any, leaf: Any) -> None:
    """Each leaf is a setting of its own; the others stay."""
    before = {
        "enabled": True,
        "minWordSizeForTypos": {"oneTypo": 4, "twoTypos": 12},
        "disableOnWords": ["x"],
        "disableOnAttributes": ["y"],
        "disableOnNumbers": True,
    }
    target = rules.resolve({**BASE, "typoTolerance": before}, {"typoTolerance": patch})
    assert target["typoTolerance"] == {**before, **leaf}


def test_the_order_of_facet_values_is_replaced() -> None:
    """faceting merges, its map does not."""
    base = {**BASE, "faceting": {"maxValuesPerFacet": 7, "sortFacetValuesBy": {"a": "count"}}}
    target = rules.resolve(base, {"faceting": {"sortFacetValuesBy": {"b": "alpha"}}})
    assert target["faceting"] == {"maxValuesPerFacet": 7, "sortFacetValuesBy": {"b": "alpha"}}


def test_embedders_merge_by_name_and_field() -> None:
    """One embedder changes, the other stays; null takes a field, or a whole embedder, away."""
    base = embedders(a=OPEN_AI, b=OWN)
    target = rules.resolve(base, {"embedders": {"a": {"model": "n", "apiKey": None}, "b": None}})
    assert target["embedders"] == {"a": {"source": "openAi", "model": "n"}}


def test_another_source_keeps_what_meilisearch_keeps() -> None:
    """Key, shift, quantisation and template; dimensions and model are the old source's."""
    template = {"documentTemplate": "{{doc}}", "documentTemplateMaxBytes": 400}
    base = embedders(a={**OPEN_AI, **template, "dimensions": 5, "binaryQuantized": True})
    target = rules.resolve(base, {"embedders": {"a": {"source": "ollama", "model": "x"}}})
    assert target["embedders"]["a"] == {
        "source": "ollama",
        "model": "x",
        "apiKey": "sk-0123456789",
        "binaryQuantized": True,
        **template,
    }


def test_a_key_that_the_new_source_cannot_have_stays_in_the_target() -> None:
    """A node refuses that, in its own words; dropping it here would hide the refusal."""
    target = rules.resolve(embedders(a=OPEN_AI), {"embedders": {"a": OWN}})
    assert target["embedders"]["a"] == {**OWN, "apiKey": "sk-0123456789"}


def test_fragments_merge_by_name() -> None:
    """A fragment set to null is gone."""
    rest = {"source": "rest", "searchFragments": {"a": {"value": 1}, "b": {"value": 2}}}
    patch = {"embedders": {"e": {"searchFragments": {"a": None, "c": {"value": 3}}}}}
    target = rules.resolve(embedders(e=rest), patch)
    assert target["embedders"]["e"]["searchFragments"] == {"b": {"value": 2}, "c": {"value": 3}}


def test_resolving_changes_nobody_elses_values() -> None:
    """Base and patch are stored elsewhere."""
    base, patch = embedders(a=dict(OPEN_AI)), {"embedders": {"a": {"model": "z"}}}
    rules.resolve(base, patch)
    assert base["embedders"] == {"a": OPEN_AI}
    assert patch == {"embedders": {"a": {"model": "z"}}}


# ---------------------------------------------------------------- differences


@pytest.mark.parametrize(
    ("key", "wanted", "seen"),
    [
        ("stopWords", ["à", "The"], ["The", "a\u0300"]),
        ("sortableAttributes", ["b", "a", "b"], ["a", "b"]),
        ("searchableAttributes", ["a", "*"], ["*"]),
        ("searchableAttributes", ["a", "b", "a"], ["a", "b"]),
        ("localizedAttributes", [{"attributePatterns": ["x"], "locales": ["en"]}],
         [{"attributePatterns": ["x"], "locales": ["eng"]}]),
        ("filterableAttributes", [{"attributePatterns": ["x"]}],
         [{"attributePatterns": ["x"],
           "features": {"facetSearch": False,
                        "filter": {"equality": True, "comparison": False}}}]),
        ("faceting", {"maxValuesPerFacet": 1, "sortFacetValuesBy": {"a": "count"}},
         {"maxValuesPerFacet": 1, "sortFacetValuesBy": {"*": "alpha", "a": "count"}}),
        ("typoTolerance", {"disableOnWords": ["Ünder"]}, {"disableOnWords": ["under"]}),
        ("embedders", {"a": OPEN_AI}, {"a": {**OPEN_AI, "apiKey": "skXXXX...", "more": 1}}),
        ("embedders", {"a": {**OWN, "distribution": {"mean": 0.1, "sigma": 0.3}}},
         {"a": {**OWN, "distribution": {"mean": 0.10000000149011612,
                                        "sigma": 0.30000001192092896}}}),
        ("embedders", {"a": None}, {}),
    ],
)  # fmt: skip
def test_what_a_node_makes_of_a_value_is_no_difference(key: str, wanted: Any, seen: Any) -> None:
    """Else every change would look as if it had not been applied."""
    assert rules.differences({**BASE, key: wanted}, {**BASE, key: seen}) == ()


@pytest.mark.parametrize(
    ("key", "wanted", "seen"),
    [
        ("stopWords", ["the"], ["then"]),
        ("stopWords", ["the"], ["The"]),
        ("searchableAttributes", ["a", "b"], ["b", "a"]),
        ("rankingRules", ["words", "typo"], ["typo", "words"]),
        ("filterableAttributes", ["a", "b"], ["b", "a"]),
        ("synonyms", {"a": ["b"]}, {}),
        ("localizedAttributes", [], None),
        ("distinctAttribute", None, "x"),
        ("embedders", {"a": OPEN_AI}, {"a": {**OPEN_AI, "apiKey": "XXX..."}}),
        ("embedders", {"a": OPEN_AI}, {"a": OPEN_AI, "b": OWN}),
        ("embedders", {"a": OPEN_AI}, {}),
        ("embedders", {"a": OPEN_AI}, {"a": {**OPEN_AI, "model": "other"}}),
        ("typoTolerance", {"disableOnWords": ["a"]}, {"disableOnWords": []}),
    ],
)
def test_another_value_is_a_difference(key: str, wanted: Any, seen: Any) -> None:
    """Leniency must not hide a setting that was not applied."""
    assert rules.differences({**BASE, key: wanted}, {**BASE, key: seen}) == (key,)


def test_a_key_that_every_engine_has_must_be_shown() -> None:
    """A node that answers `{}` has not shown that it is right."""
    assert "stopWords" in rules.differences(BASE, {})


def test_a_newer_key_at_its_default_need_not_be_shown() -> None:
    """An older engine beside a newer one is no fault; with another value it would be."""
    older = {k: v for k, v in BASE.items() if k != "facetSearch"}
    assert rules.differences(BASE, older) == ()
    assert rules.differences({**BASE, "facetSearch": False}, older) == ("facetSearch",)


def test_differences_come_in_the_order_of_the_table() -> None:
    """Messages and patches read the same everywhere."""
    wanted = {**BASE, "zz": 1, "pagination": {"maxTotalHits": 1}, "rankingRules": []}
    seen = {**BASE, "zz": 2}
    assert rules.differences(wanted, seen) == ("rankingRules", "pagination", "zz")


def test_words_do_not_contradict_a_probe() -> None:
    """What an engine makes of words cannot be foretold; whether any is left can."""
    kana = {**BASE, "stopWords": ["カナ"], "typoTolerance": {"disableOnWords": ["カナ"]}}
    shown = {**BASE, "stopWords": ["かな"], "typoTolerance": {"disableOnWords": ["かな"]}}
    assert rules.differences(kana, shown) == ("stopWords", "typoTolerance")
    assert rules.contradictions(kana, shown) == ()
    assert rules.contradictions(kana, {**shown, "stopWords": []}) == ("stopWords",)
    assert rules.contradictions({**kana, "synonyms": {"a": ["b"]}}, shown) == ("synonyms",)


# ---------------------------------------------------------------- patches


def test_a_node_that_is_right_is_sent_nothing() -> None:
    """A useless settings task can cost a reindex."""
    assert rules.wire_patch(BASE, BASE) == {}


def test_stop_words_take_synonyms_along() -> None:
    """A node computes synonyms with the stop words of the moment they are written."""
    target = {**BASE, "stopWords": ["the"], "synonyms": {"a": ["b"]}}
    seen = {**target, "stopWords": []}
    assert rules.wire_patch(seen, target) == {"stopWords": ["the"], "synonyms": {"a": ["b"]}}


def test_what_shall_go_is_named() -> None:
    """Embedders and their fields are merged by a node: what is not named stays."""
    seen = embedders(a={**OWN, "distribution": {"mean": 0.5, "sigma": 0.5}}, b=OWN)
    target = embedders(a={**OWN, "dimensions": 4})
    assert rules.wire_patch(seen, target) == {
        "embedders": {"a": {"source": "userProvided", "dimensions": 4, "distribution": None},
                      "b": None}
    }  # fmt: skip


def test_no_field_is_named_that_the_source_does_not_have() -> None:
    """A node refuses even a null for it."""
    seen = embedders(a={"source": "openAi", "model": "m", "url": "http://x/"})
    target = embedders(a=OWN)
    assert rules.wire_patch(seen, target) == {"embedders": {"a": OWN}}


def test_what_cannot_become_the_other_is_removed_first() -> None:
    """The engine refuses it; the next round makes it anew."""
    seen = embedders(a={**OPEN_AI, "apiKey": "skXXXX..."})
    assert rules.exact_patch(seen, embedders(a=OWN)) == {"embedders": {"a": None}}
    assert rules.wire_patch(embedders(), embedders(a=OWN)) == {"embedders": {"a": OWN}}


def test_quantized_vectors_are_never_thrown_away_by_a_detour() -> None:
    """A live node is left to say no; only the probe, which has no vectors, makes it anew."""
    seen = embedders(a={**OWN, "binaryQuantized": True})
    refused = {"embedders": {"a": {**OWN, "binaryQuantized": False}}}
    assert rules.exact_patch(seen, embedders(a=OWN)) == refused
    plain = embedders(a={**OWN, "binaryQuantized": False})
    assert rules.wire_patch(seen, plain) == refused
    assert rules.whole_patch(seen, embedders(a=OWN), ())["embedders"] == {"a": None}


def test_a_client_s_key_is_sent_to_a_node_that_does_not_show_it() -> None:
    """Otherwise an unknown key would be committed without any node having judged it."""
    target = rules.resolve(BASE, {"noSuchKey": 1})
    assert rules.wire_patch(BASE, target) == {}
    assert rules.wire_patch(BASE, target, touched=["noSuchKey"]) == {"noSuchKey": 1}


def test_forced_embedders_go_with_true_secrets() -> None:
    """An equal mask may hide another key."""
    seen = embedders(a={**OPEN_AI, "apiKey": "skXXXX..."})
    assert rules.wire_patch(seen, embedders(a=OPEN_AI)) == {}
    forced = rules.wire_patch(seen, embedders(a=OPEN_AI), forced=True)
    assert forced == {"embedders": {"a": OPEN_AI}}


def test_to_the_letter_more_differs() -> None:
    """Leniently equal settings are repaired and undone all the same."""
    seen = {**BASE, "stopWords": ["a\u0300"]}
    target = {**BASE, "stopWords": ["\u00e0"]}
    assert rules.wire_patch(seen, target) == {}
    assert rules.exact_patch(seen, target) == {"stopWords": ["\u00e0"], "synonyms": {}}
    assert rules.exact_patch(target, target) == {}


def test_a_probe_is_sent_what_it_shows_and_what_says_something() -> None:
    """An engine that does not know a key at its default is not asked about it."""
    older = {k: v for k, v in BASE.items() if k not in {"facetSearch", "prefixSearch"}}
    target = {**BASE, "prefixSearch": "disabled", "other": 1, "mine": 2}
    patch = rules.whole_patch(older, target, ["mine"])
    assert set(patch) == {*older, "prefixSearch", "mine"}


# ---------------------------------------------------------------- secrets


def test_adopting_keeps_the_true_secret() -> None:
    """The read-back has the node's form, the target has the key."""
    shown = embedders(a={**OPEN_AI, "apiKey": "skXXXX...", "documentTemplateMaxBytes": 400})
    desired = rules.adopted(shown, embedders(a=OPEN_AI))
    assert desired["embedders"]["a"] == {**OPEN_AI, "documentTemplateMaxBytes": 400}


def test_adopting_keeps_what_nodes_hide() -> None:
    """A chat setting exists also while its feature is off."""
    assert rules.adopted(BASE, {**BASE, "chat": {"description": "x"}})["chat"] == {
        "description": "x"
    }


def test_only_true_secrets_count() -> None:
    """Repairs of other indexes stay cheap."""
    assert rules.has_secrets(embedders(a=OPEN_AI))
    assert not rules.has_secrets(embedders(a=OWN))
    assert not rules.has_secrets(BASE)


def test_what_is_shown_and_told_is_masked() -> None:
    """Histories and task details are read by people who may not know the key."""
    old, new = embedders(a=OPEN_AI), embedders(a={**OPEN_AI, "apiKey": "sk-another-key-567890"})
    assert "sk-0123" not in str(rules.shown(old))
    assert rules.diff(old, new)["embedders"][0]["a"]["apiKey"] == "skXXXX..."
    assert "another" not in str(rules.diff(old, new))


def test_same_compares_true_secrets() -> None:
    """A rotated key is a change although nothing that is shown changes."""
    assert rules.same(embedders(a=OPEN_AI), embedders(a=dict(OPEN_AI)))
    assert not rules.same(embedders(a=OPEN_AI), embedders(a={**OPEN_AI, "apiKey": "sk-x"}))
    assert not rules.same(BASE, {**BASE, "other": 1})


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("facetSearch", True, 1),
        ("pagination", {"maxTotalHits": 1000}, {"maxTotalHits": 1000.0}),
        ("typoTolerance", {"enabled": False}, {"enabled": 0}),
    ],
)
def test_values_of_another_kind_are_another_setting(key, one, other) -> None:
    """A node refuses them, and is not asked about what is in force already."""
    assert not rules.same({key: one}, {key: other})
    assert rules.same({key: one}, {key: one})


def test_the_order_of_members_makes_no_other_setting() -> None:
    """Objects have none."""
    assert rules.same({"synonyms": {"a": [], "b": []}}, {"synonyms": {"b": [], "a": []}})


def test_to_reset_what_a_node_does_not_know_is_not_asked_of_it() -> None:
    """DELETE /settings on nodes of two versions must not fail for a key that one of them lacks."""
    patch = {"facetSearch": None, "stopWords": [], "ofTheFuture": None, "unknown": 1}
    assert rules.asked_of_nodes(patch) == ("stopWords", "unknown")


def test_a_probe_is_not_sent_what_it_would_refuse_while_a_feature_is_off():
    """`chat` that was set while its feature was on stays wanted; every change would be refused."""
    target = {**rules.defaults(), "chat": {"description": "boats"}, "synonyms": {"a": ["b"]}}

    patch = rules.whole_patch(rules.defaults(), target, ["synonyms"])

    assert patch["synonyms"] == {"a": ["b"]}
    assert "chat" not in patch
    assert "chat" in rules.whole_patch({**rules.defaults(), "chat": {}}, target, [])
    assert "chat" in rules.whole_patch(rules.defaults(), target, ["chat"])

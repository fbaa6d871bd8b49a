"""What the shards are asked."""

import pytest

from miroir.core.merge.query import CannotMerge, NodeQuery, SearchSettings, rewrite_search


def rewritten(query: dict, settings: SearchSettings | None = None) -> NodeQuery:
    found = rewrite_search(query, 3, settings)
    assert isinstance(found, NodeQuery)
    return found


FORCED = {"showRankingScore": True, "showRankingScoreDetails": True}


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({}, {"offset": 0, "limit": 20}),
        ({"offset": 5}, {"offset": 0, "limit": 25}),
        ({"offset": 5, "limit": 3}, {"offset": 0, "limit": 8}),
        ({"limit": 0}, {"offset": 0, "limit": 0}),
        ({"offset": 990, "limit": 50}, {"offset": 0, "limit": 1000}),
        ({"limit": 2**63}, {"offset": 0, "limit": 1000}),
        ({"offset": 1000, "limit": 5}, {"offset": 0, "limit": 0}),
        ({"offset": 2**63, "limit": 2**63}, {"offset": 0, "limit": 0}),
        ({"offset": 7, "limit": 0}, {"offset": 0, "limit": 0}),
        ({"page": None, "hitsPerPage": 4}, {"page": 1, "hitsPerPage": 4}),
        ({"page": 1}, {"page": 1, "hitsPerPage": 20}),
        ({"page": 3, "hitsPerPage": 7}, {"page": 1, "hitsPerPage": 21}),
        ({"page": 0}, {"page": 1, "hitsPerPage": 0}),
        ({"hitsPerPage": 0}, {"page": 1, "hitsPerPage": 0}),
        ({"page": None, "limit": 4}, {"page": None, "offset": 0, "limit": 4}),
        ({"page": 2, "limit": 4}, {"page": 1, "hitsPerPage": 40, "limit": 4}),
    ],
)
def test_every_shard_is_asked_for_everything_up_to_the_window(query, asked):
    """The whole window may lie on one shard; page mode stays page mode, since it counts better."""
    assert rewritten(query).body == asked | FORCED


@pytest.mark.parametrize(
    "query",
    [
        {"limit": -1},
        {"limit": "a"},
        {"limit": True},
        {"limit": None},
        {"limit": 1.5},
        {"offset": "1", "limit": 3},
        {"page": -1},
        {"hitsPerPage": "x", "page": 2},
    ],
)
def test_nonsense_is_passed_on_for_the_node_to_refuse(query):
    """The node's own 400 says what is wrong with the client's own value."""
    body = rewritten(query).body
    assert {name: body[name] for name in query} == query


def test_a_score_parameter_that_is_no_boolean_is_left_to_the_node():
    """The same for the two that are forced on."""
    body = rewritten({"showRankingScore": "x", "showRankingScoreDetails": None}).body
    assert (body["showRankingScore"], body["showRankingScoreDetails"]) == ("x", None)


def test_everything_else_is_passed_on_untouched():
    """Filters, facets, highlighting happen on the node."""
    query = {"q": "x", "filter": ["a = 1"], "facets": ["*"], "sort": ["a:asc"], "unknown": 1}
    assert rewritten(query).body == query | {"offset": 0, "limit": 20} | FORCED


def test_what_the_client_asked_is_remembered():
    """The answer must look like what was asked, not like what the nodes were asked."""
    asked = rewritten({"page": 3, "hitsPerPage": 7, "showRankingScore": True}).asked
    assert (asked.offset, asked.limit, asked.page, asked.hits_per_page) == (14, 7, 3, 7)
    assert (asked.show_score, asked.show_details) == (True, False)


def test_the_original_query_is_not_changed():
    """A retry starts from it."""
    query = {"attributesToRetrieve": ["id"], "limit": 2}
    rewritten(query, SearchSettings(distinct_attribute="sku"))
    assert query == {"attributesToRetrieve": ["id"], "limit": 2}


@pytest.mark.parametrize(
    ("retrieve", "sent", "added"),
    [
        (None, None, False),
        (["*"], ["*"], False),
        (["id"], ["id", "a.b"], True),
        (["id", "a.b"], ["id", "a.b"], False),
        (["a"], ["a"], False),
        (["a.c"], ["a.c", "a.b"], True),
        (["a*"], ["a*"], False),
        ([], ["a.b"], True),
        ([1], [1], False),
    ],
)
def test_the_distinct_attribute_is_asked_for_where_it_is_missing(retrieve, sent, added):
    """Without it in the hits, two shards' variants of one product cannot be told."""
    query = {} if retrieve is None else {"attributesToRetrieve": retrieve}
    found = rewritten(query, SearchSettings(distinct_attribute="a.b"))
    assert found.body.get("attributesToRetrieve") == sent
    assert (found.asked.distinct, found.asked.added) == ("a.b", ("a.b",) * added)


@pytest.mark.parametrize(
    ("retrieve", "displayed", "sent"),
    [
        (None, ("*",), None),
        (["title"], ("*",), ["title", "id"]),
        (["title", "id"], ("*",), ["title", "id"]),
        (["title"], ("title",), ["title"]),
    ],
)
def test_the_primary_key_is_asked_for_where_it_is_missing(retrieve, displayed, sent):
    """It puts equals of different shards in order; where nodes hide it, the shard does."""
    query = {} if retrieve is None else {"attributesToRetrieve": retrieve}
    settings = SearchSettings(displayed_attributes=displayed, primary_key="id")
    found = rewritten(query, settings)
    assert found.body.get("attributesToRetrieve") == sent
    assert found.asked.added == (("id",) if sent != retrieve else ())


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ({}, ()),
        ({"attributesToHighlight": ["*"]}, ("*",)),
        ({"attributesToHighlight": ["a"], "attributesToCrop": ["b:3", "c"]}, ("a", "b", "c")),
        ({"attributesToHighlight": "a,b"}, ("a", "b")),
        ({"attributesToHighlight": 1, "attributesToCrop": [2]}, ()),
    ],
)
def test_what_the_client_has_formatted_stays_formatted(query, kept):
    """Whether it is retrieved or not."""
    asked = rewritten({"attributesToRetrieve": ["t"], "distinct": "sku", **query}).asked
    assert asked.kept_formatted == kept


def test_a_longer_name_is_not_a_child():
    """`sku` is not retrieved by asking for `s`."""
    found = rewritten({"attributesToRetrieve": ["s"], "distinct": "sku"})
    assert found.asked.added == ("sku",)


def test_the_query_names_another_distinct_attribute():
    """The parameter wins over the setting."""
    asked = rewritten({"distinct": "x"}, SearchSettings(distinct_attribute="y")).asked
    assert asked.distinct == "x"


@pytest.mark.parametrize(
    ("query", "settings", "reason"),
    [
        (
            {"distinct": "sku"},
            SearchSettings(displayed_attributes=("title",), primary_key="id"),
            "`id` is the primary key and not displayed",
        ),
        ({"personalize": {"userContext": "x"}}, None, "personalized results"),
        ({"filter": ["a = 1", ["b = 2", "_foreign (author, x = 1)"]]}, None, "filters on another"),
        ({"filter": "NOT _foreign(author, x = 1)"}, None, "filters on another"),
        ({"personalizeUserContext": "x"}, None, "personalized results"),
        ({"useNetwork": True}, None, "`useNetwork` is not supported"),
        ({"useNetwork": "true"}, None, "`useNetwork` is not supported"),
    ],
)
def test_what_cannot_be_merged_is_refused_before_anybody_is_asked(query, settings, reason):
    """A clear refusal beats a wrong answer."""
    found = rewrite_search(query, 2, settings)
    assert isinstance(found, CannotMerge)
    assert found.reason.startswith(reason)


def test_a_parameter_that_is_off_is_no_reason_to_refuse():
    """A query string has it as text."""
    assert rewritten({"useNetwork": "false"}).body["useNetwork"] == "false"


def test_one_shard_is_never_rewritten():
    """Its bytes pass through; whoever calls this for one shard has a bug."""
    with pytest.raises(AssertionError):
        rewrite_search({}, 1)


SECRETIVE = SearchSettings(
    displayed_attributes=("id", "title", "a"),
    primary_key="id",
    ranking_rules=("words", "rank:desc", "sort"),
)


def test_what_orders_the_hits_and_is_not_displayed_is_to_be_looked_up():
    """By the key of the hit, which is asked for and taken out again."""
    query = {"sort": ["title:asc", "a.b:asc", "price:desc"], "attributesToRetrieve": ["title"]}
    found = rewritten(query, SECRETIVE)
    hidden = found.asked.hidden
    assert hidden is not None
    assert [rule.field for rule in hidden.rules] == ["rank", "a.b", "price"]
    assert (hidden.primary_key, hidden.distinct) == ("id", None)
    assert (found.body["attributesToRetrieve"], found.asked.added) == (["title", "id"], ("id",))


def test_a_distinct_attribute_that_is_not_displayed_is_to_be_looked_up():
    """Its values are put into the hits, and taken out again."""
    settings = SearchSettings(displayed_attributes=("id",), primary_key="id")
    asked = rewritten({"distinct": "sku"}, settings).asked
    assert asked.hidden is not None
    assert asked.hidden.fields == ["id", "sku"]
    assert asked.added == (asked.distinct,) != ("sku",)


def test_nothing_is_looked_up_where_everything_is_shown():
    """Nearly all searches."""
    shown = SearchSettings(primary_key="id", ranking_rules=("rank:desc", "sort"))
    assert rewritten({"sort": ["price:desc"], "distinct": "sku"}, shown).asked.hidden is None
    unsorted = SearchSettings(displayed_attributes=("id",), primary_key="id")
    assert rewritten({"q": "x"}, unsorted).asked.hidden is None

"""
The official Python client against a cluster, and the same against one node that holds everything.

Its quick start must work unchanged; answers must be those of the single node: hits, scores, order,
totals, facets. Only among hits that every ranking rule finds equal may the order be another: one
node takes them by age, shards have no common age. The data are the airports that ship with Miroir.
"""

import json
from importlib.resources import files

import meilisearch
import pytest

from miroir.cli.layout import Engine, Shape
from tests.support.live_cluster import EMBEDDED, live_cluster
from tests.support.node_process import BINARY, embedded_node, real_node

SETTINGS_OF_INDEX = {
    "searchableAttributes": ["name", "city", "id"],
    "filterableAttributes": ["state", "country", "city", "_geo"],
    "sortableAttributes": ["name", "city", "state", "_geo"],
    "synonyms": {"intl": ["international"], "international": ["intl"]},
    "stopWords": ["the", "of"],
    "pagination": {"maxTotalHits": 5000},
}
QUERIES = [
    ("", {}),
    ("", {"limit": 100}),
    ("", {"limit": 50, "offset": 3300}),
    ("denver", {}),
    ("denvr", {}),
    ("county", {"limit": 60}),
    ("county municipal", {"limit": 40}),
    ("county municipal", {"limit": 40, "offset": 40}),
    ("municipal airport county", {"matchingStrategy": "all"}),
    ("international", {"limit": 60}),
    ("intl", {"limit": 60}),
    ("san", {"limit": 100}),
    ("new yor", {"limit": 30}),
    ("los angeles international", {}),
    ("fort wort", {"limit": 30}),
    ("field", {"filter": "state = TX", "limit": 50}),
    ("", {"filter": "state IN [CA, NV] AND city EXISTS", "limit": 60}),
    ("", {"filter": "NOT country = USA", "limit": 60}),
    ("", {"filter": "state = AK", "sort": ["name:asc"], "limit": 100}),
    ("", {"filter": "state = AK", "sort": ["city:desc", "name:asc"], "limit": 100}),
    ("regional", {"sort": ["name:desc"], "limit": 80}),
    ("", {"facets": ["state", "country"], "limit": 1}),
    ("airpark", {"facets": ["state"], "limit": 5}),
    ("", {"facets": ["*"], "filter": "state = HI", "limit": 3}),
    ("", {"filter": "_geoRadius(39.86, -104.67, 80000)", "limit": 50}),
    ("", {"sort": ["_geoPoint(39.86, -104.67):asc"], "limit": 30}),
    ("municipal", {"sort": ["_geoPoint(29.98, -95.34):desc"], "limit": 30}),
    ("municipal", {"page": 2, "hitsPerPage": 25}),
    ("", {"page": 135, "hitsPerPage": 25}),
    ("lake", {"attributesToRetrieve": ["id", "name"], "limit": 40}),
    ("lake", {"attributesToHighlight": ["*"], "limit": 40}),
    ("lake", {"attributesToSearchOn": ["city"], "limit": 40}),
    ("lake", {"showRankingScore": True, "limit": 40}),
    ("lake", {"showRankingScoreDetails": True, "limit": 20}),
    ("lake", {"rankingScoreThreshold": 0.9, "limit": 40}),
    ("meadow lake", {"showMatchesPosition": True}),
    ("lakes", {"distinct": "state", "limit": 60}),
    ('"san diego"', {}),
    ("international -houston", {"limit": 60}),
    ("zzzzzzzz", {"facets": ["state"]}),
]
OF_THE_MOMENT = {"processingTimeMs", "requestUid", "hits"}
WINDOW = {"limit", "offset", "page", "hitsPerPage", "distinct"}
# One node counts here what it happens to look at; shards look at more of it.
INEXACT_TOTALS = {"distinct", "rankingScoreThreshold"}


def airports():
    return json.loads(files("miroir").joinpath("data", "airports.json").read_text())


def client_of(cluster):
    return meilisearch.Client(cluster.local.url, cluster.local.layout.master_key.reveal())


def fill(client, uid):
    """Create, configure, index: as the client's quick start does it."""
    client.wait_for_task(client.create_index(uid, {"primaryKey": "id"}).task_uid)
    index = client.index(uid)
    for task in (index.update_settings(SETTINGS_OF_INDEX), index.add_documents(airports())):
        ended = client.wait_for_task(task.task_uid, timeout_in_ms=60_000, interval_in_ms=50)
        assert ended.status == "succeeded", ended.error
    return index


ENGINES = [
    pytest.param(EMBEDDED, embedded_node, id="embedded"),
    pytest.param(
        Engine("meilisearch", BINARY),
        real_node,
        id="meilisearch",
        marks=[pytest.mark.meilisearch, pytest.mark.skipif(not BINARY, reason="no binary named")],
    ),
]


on_each_engine = pytest.mark.parametrize(("engine", "single"), ENGINES, scope="module")


@pytest.fixture(scope="module")
def indexes(engine, single, tmp_path_factory):
    """The same documents behind Miroir on three shards, and on one node alone."""
    folder = tmp_path_factory.mktemp("client")
    with live_cluster(folder / "c", Shape(3, 1), engine=engine) as many, single(folder) as one:
        client_of_one = meilisearch.Client(one.url, one.master_key)
        yield fill(client_of(many), "airports"), fill(client_of_one, "airports")


def test_the_quick_start_of_the_official_client(cluster):
    """What a newcomer types first."""
    client = client_of(cluster)
    assert client.is_healthy()
    index = client.index("movies")
    documents = [
        {"id": 1, "title": "Carol", "genres": ["Romance", "Drama"]},
        {"id": 2, "title": "Wonder Woman", "genres": ["Action", "Adventure"]},
        {"id": 3, "title": "Life of Pi", "genres": ["Adventure", "Drama"]},
        {"id": 4, "title": "Mad Max: Fury Road", "genres": ["Adventure", "Science Fiction"]},
        {"id": 5, "title": "Moana", "genres": ["Fantasy", "Action"]},
        {"id": 6, "title": "Philadelphia", "genres": ["Drama"]},
    ]
    task = client.wait_for_task(index.add_documents(documents).task_uid)
    assert (task.status, task.type) == ("succeeded", "documentAdditionOrUpdate")
    assert [hit["title"] for hit in index.search("caorl")["hits"]] == ["Carol"]

    attributes = index.update_filterable_attributes(["id", "genres"])
    assert client.wait_for_task(attributes.task_uid).status == "succeeded"
    found = index.search("wonder", {"filter": ["id > 1 AND genres = Action"]})
    assert [hit["id"] for hit in found["hits"]] == [2]
    facets = index.search("", {"facets": ["genres"]})["facetDistribution"]["genres"]
    assert facets["Drama"] == 3
    assert index.get_document(3).title == "Life of Pi"
    assert index.get_documents({"limit": 2}).total == 6
    assert index.get_stats().number_of_documents == 6
    assert index.get_filterable_attributes() == ["id", "genres"]
    assert client.wait_for_task(index.delete_document(3).task_uid).status == "succeeded"
    with pytest.raises(meilisearch.errors.MeilisearchApiError, match="document_not_found"):
        index.get_document(3)
    assert {i.uid for i in client.get_indexes()["results"]} == {"movies"}
    assert client.get_all_stats()["indexes"]["movies"]["numberOfDocuments"] == 5
    assert client.get_tasks({"limit": 1}).results[0].type == "documentDeletion"
    assert client.get_version()["pkgVersion"].startswith("1.")


@on_each_engine
@pytest.mark.parametrize(("query", "options"), QUERIES, ids=lambda value: str(value)[:60])
def test_answers_are_those_of_one_node_with_all_the_data(indexes, query, options):
    """The whole point of merging: nobody can tell from an answer that there are shards."""
    detailed = {**options, "showRankingScore": True, "showRankingScoreDetails": True}
    many, one = (index.search(query, detailed) for index in indexes)
    no_window = {name: value for name, value in detailed.items() if name not in WINDOW}
    every = indexes[1].search(query, {**no_window, "limit": 5000})["hits"]
    known = {hit["id"]: hit for hit in every}

    assert [rank(hit) for hit in many["hits"]] == [rank(hit) for hit in one["hits"]]
    assert [known[hit["id"]] for hit in many["hits"]] == many["hits"]
    assert len({hit["id"] for hit in many["hits"]}) == len(many["hits"])
    if "distinct" in options:
        values = [[hit["state"] for hit in answer["hits"]] for answer in (many, one)]
        assert sorted(values[0]) == sorted(values[1])
    assert around(many, options) == around(one, options)


@on_each_engine
@pytest.mark.parametrize(("query", "options"), QUERIES, ids=lambda value: str(value)[:60])
def test_what_was_not_asked_for_is_not_shown(indexes, query, options):
    """Miroir asks nodes for score details; a client that did not must not get them."""
    many, one = (index.search(query, options) for index in indexes)

    assert list(many) == list(one), "names, and their order"
    names = {name for hit in one["hits"] for name in hit}
    assert {name for hit in many["hits"] for name in hit} == names
    assert around(many, options) == around(one, options)


def rank(hit):
    return hit["_rankingScore"], hit["_rankingScoreDetails"]


def around(answer, options):
    """All that is told besides the hits, as far as one node tells it exactly."""
    told = {name: value for name, value in answer.items() if name not in OF_THE_MOMENT}
    if INEXACT_TOTALS.intersection(options):
        del told["estimatedTotalHits"]
    return told


@on_each_engine
def test_documents_and_settings_read_the_same(indexes):
    """Reads other than search go other ways through Miroir."""
    many, one = indexes
    assert many.get_settings() == one.get_settings()
    for document_id in ("DEN", "LAX", "00M", "ZZV"):
        assert dict(many.get_document(document_id)) == dict(one.get_document(document_id))
    filtered = {"filter": "state = CO", "limit": 200, "fields": ["id", "name"]}
    left, right = many.get_documents(filtered), one.get_documents(filtered)
    assert left.total == right.total > 40
    assert sorted(d.id for d in left.results) == sorted(d.id for d in right.results)
    assert many.get_stats().number_of_documents == one.get_stats().number_of_documents == 3376

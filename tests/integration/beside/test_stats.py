"""Statistics over three shards, beside one node that holds everything."""

import pytest

pytestmark = pytest.mark.slow

PARAMETERS = [
    "sizeFormat=words",
    "sizeFormat=",
    "sizeFormat=humam",
    "sizeformat=raw",
    "showInternalDatabaseSizes=1",
    "a=1",
]


@pytest.fixture(scope="module")
def uid(pair):
    return pair.load([{"id": number, "title": "a" * number} for number in range(40)], {})


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("path", ["/stats", "/indexes/{uid}/stats", "/indexes/no%20uid/stats"])
def test_parameters_are_judged_as_by_one_node(pair, uid, path, parameters):
    """In its words, before anybody looks for the index."""
    whole, found = pair.both("GET", f"{path.format(uid=uid)}?{parameters}")
    assert whole["status"] == 400
    assert found == whole


def test_counts_are_those_of_one_node(pair, uid):
    """Sizes are those of three databases instead of one."""
    whole, found = pair.both("GET", f"/indexes/{uid}/stats")
    sizes = {"rawDocumentDbSize", "avgDocumentSize"}
    assert {n: v for n, v in found.items() if n not in sizes} == {
        n: v for n, v in whole.items() if n not in sizes
    }


@pytest.mark.parametrize("form", ["raw", "human"])
def test_inner_sizes_are_shown_in_the_form_that_is_asked_for(pair, uid, form):
    """Numbers, or words; the names of databases are the engine's."""
    question = f"showInternalDatabaseSizes=true&sizeFormat={form}"
    whole, found = pair.both("GET", f"/indexes/{uid}/stats?{question}")
    kind = str if form == "human" else int
    assert found["internalDatabaseSizes"].keys() == whole["internalDatabaseSizes"].keys() != set()
    for answer in (whole, found):
        sizes = answer["rawDocumentDbSize"], *answer["internalDatabaseSizes"].values()
        assert all(type(size) is kind for size in sizes)

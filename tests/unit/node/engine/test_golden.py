"""
The engine against answers of a real Meilisearch 1.50.0, question by question.

`golden/*.json` hold documents, settings, questions and the recorded answers (`record_golden.py`
renews them). Where Meilisearch's score of a document depends on the other documents of the index,
ours does not; those questions are listed in `golden_deviations.json` with the reason, are compared
by the ids of hits alone, and must really deviate.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.unit.node.engine.world import index_of, query_of

from miroir.node.engine import EvaluationError, FacetQuery, SearchIndex
from miroir.node.errors import ApiError

HERE = Path(__file__).parent
DEVIATIONS: dict[str, dict[str, str]] = json.loads((HERE / "golden_deviations.json").read_text())


def scenes() -> list[str]:
    return sorted(file.stem for file in (HERE / "golden").glob("*.json"))


def answer(index: SearchIndex, question: dict[str, Any], uid: str) -> dict[str, Any]:
    """Return the engine's answer in the form of the recorded one."""
    body = question["body"]
    try:
        if question.get("route") == "facet-search":
            result = index.facet_search(FacetQuery(body["facetName"], body.get("facetQuery")))
            return {"facetHits": result.hits}
        found = index.search(query_of(body))
    except ApiError as error:
        name = f"Index `{uid}`: " if isinstance(error, EvaluationError) else ""
        return {"message": name + error.message, "code": error.code, "type": error.type}
    shown: dict[str, Any] = {"hits": found.hits, **found.pagination}
    if found.facet_distribution is not None:
        shown["facetDistribution"] = found.facet_distribution
        shown["facetStats"] = found.facet_stats
    return shown


def same(one: Any, other: Any) -> bool:
    """Compare JSON values; floats up to rounding, objects with the order of distributions."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-9)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def in_order(distribution: dict[str, dict[str, int]] | None) -> list[list[str]]:
    return [list(values) for values in (distribution or {}).values()]


@pytest.mark.parametrize("scene", scenes())
def test_answers_are_those_of_meilisearch(scene: str):
    """A client must not notice which of the two it talks to: hits, scores, formats, errors."""
    recorded = json.loads((HERE / "golden" / f"{scene}.json").read_text())
    index = index_of(recorded["documents"], **recorded["settings"])
    deviations = DEVIATIONS.get(scene, {})
    wrong: list[str] = []
    for question in recorded["questions"]:
        expected, body = question["answer"], json.dumps(question["body"], ensure_ascii=False)
        got = json.loads(json.dumps(answer(index, question, scene)))
        alike = same(got, expected) and in_order(got.get("facetDistribution")) == in_order(
            expected.get("facetDistribution")
        )
        if body in deviations:
            ids = [[hit["id"] for hit in a["hits"]] for a in (got, expected)]
            alike = not alike and ids[0] == ids[1]
        if not alike:
            wrong.append(f"{body}\n  expected {expected}\n  got      {got}")
    assert not wrong, "\n".join(wrong)

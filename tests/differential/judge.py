"""
Whether two answers are one.

Equal field by field, but for what exactness.md leaves open: hits that every ranking rule finds
equal may stand in another order, so that where the window begins or ends among them it may show
others of them, and another of them may stand for a distinct value; and the score of a rule whose
maximum depends on the documents of a node is not compared. Nodes write the members of a document
in the order in which they first met the fields, which is no order of its own.
"""

import json
from typing import Any, Final

from tests.differential.questions import Question
from tests.differential.worlds import World
from tests.support.search_answers import compare_hits

Json = dict[str, Any]

_SCORES: Final = ("_rankingScore", "_rankingScoreDetails")
_COUNTED: Final = ("estimatedTotalHits", "totalHits", "totalPages")


def fault(question: Question, whole: Json, found: Json, world: World) -> str | None:
    """Return what differs; None: nothing that should not."""
    if whole["status"] != 200 or found["status"] != 200:
        return _unequal(whole, found)
    if question.kind == "several":
        pairs = zip(question.body["queries"], whole["results"], found["results"], strict=True)
        faults = (_search_fault(one, other, world) for _, one, other in pairs)
        return next((said for said in faults if said is not None), None)
    if question.kind == "documents":
        return _listing_fault(whole, found)
    if question.kind == "facets":
        return _unequal(whole, found)
    return _search_fault(whole, found, world)


def _unequal(whole: Any, found: Any) -> str | None:
    return None if whole == found else f"{whole} became {found}"


def _listing_fault(whole: Json, found: Json) -> str | None:
    """Compare lists of all documents, sorted by two fields: which are equal may be swapped."""
    orders = [
        [(document.get("own"), document.get("stock")) for document in answer["results"]]
        for answer in (whole, found)
    ]
    if whole["total"] != found["total"] or orders[0] != orders[1]:
        return f"listed otherwise: {whole['total']} / {found['total']}"
    documents = [sorted(map(_written, answer["results"])) for answer in (whole, found)]
    return None if documents[0] == documents[1] else "other documents"


def _search_fault(whole: Json, found: Json, world: World) -> str | None:
    uncounted = _COUNTED if world.distinct else ()
    rest = [{k: v for k, v in a.items() if k not in {"hits", *uncounted}} for a in (whole, found)]
    if rest[0] != rest[1]:
        names = [name for name in rest[0] if rest[0][name] != rest[1].get(name)]
        one, other = ([side.get(name) for name in names] for side in rest)
        return f"{names}: {one} became {other}"
    if world.hides:
        return _hidden_fault(whole["hits"], found["hits"])
    said = _order_fault(whole["hits"], found["hits"])
    if said is not None or world.distinct is not None:
        return said
    return _documents_fault(whole["hits"], found["hits"])


def _hidden_fault(whole: list[Json], found: list[Json]) -> str | None:
    """Compare hits that are sorted down to the last one by what they do not show."""
    orders = [[hit["id"] for hit in hits] for hits in (whole, found)]
    if orders[0] != orders[1]:
        return f"sorted otherwise: {orders[0]} became {orders[1]}"
    documents = [[_written(_document(hit)) for hit in hits] for hits in (whole, found)]
    shown = [[list(hit["_rankingScoreDetails"]) for hit in hits] for hits in (whole, found)]
    return None if (documents[0], shown[0]) == (documents[1], shown[1]) else "other documents"


def _order_fault(whole: list[Json], found: list[Json]) -> str | None:
    if len(whole) != len(found):
        return f"{len(whole)} hits became {len(found)}"
    for at, (one, other) in enumerate(zip(whole, found, strict=True)):
        if compare_hits(one, other):
            return f"hit {at}: {_named(one)} became {_named(other)}"
    return None


def _documents_fault(whole: list[Json], found: list[Json]) -> str | None:
    edges = [whole[0], whole[-1]] if whole else []
    sure = [
        [hit for hit in hits if all(compare_hits(hit, edge) for edge in edges)]
        for hits in (whole, found)
    ]
    documents = [sorted(_written(_document(hit)) for hit in hits) for hits in sure]
    if documents[0] != documents[1]:
        odd = [document for document in documents[1] if document not in documents[0]]
        return f"other documents among equals: {odd[:2]}"
    return None


def _written(document: Json) -> str:
    return json.dumps(document, sort_keys=True)


def _document(hit: Json) -> Json:
    return {name: value for name, value in hit.items() if name not in _SCORES}


def _named(hit: Json) -> str:
    return f"{hit.get('id')!r} {hit['_rankingScoreDetails']}"

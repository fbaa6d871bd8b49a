"""The route of multi-search: queries answered one by one, or as one list of hits."""

from typing import Any, Final

from miroir.node.errors import ApiError
from miroir.node.federation.request import MULTI_SEARCH
from miroir.node.federation.run import FederatedSearch, inside, require_network
from miroir.node.http import Response, answer
from miroir.node.routes.base import Call, Route
from miroir.node.routes.search import asker_of
from miroir.node.searching import Asker, require_supported, run_search
from miroir.node.validate import Place

_OPTIONS_ALONE: Final = (
    "Using `federationOptions` is not allowed in a non-federated search.\n"
    " - Hint: remove `federationOptions` from the query or add `federation` to the request."
)


def _multi(call: Call) -> Response:
    body = MULTI_SEARCH(call.request.json(), Place())
    asker = asker_of(call)
    if body.get("federation") is not None:
        federation = body["federation"]
        if not asker.merges:  # who merges them may order them anew; this node need not be able to
            personalize = {"personalize": federation.get("personalize")}
            require_supported(personalize, call.node.features)
        return answer(FederatedSearch(asker, federation).answer(body["queries"]))
    for position, query in enumerate(body["queries"]):
        with inside(position):
            call.access.require(query["indexUid"])
    return answer({"results": [_one(asker, at, q) for at, q in enumerate(body["queries"])]})


def _one(asker: Asker, position: int, query: dict[str, Any]) -> dict[str, Any]:
    with inside(position, bad_index=not asker.node.features["foreignKeys"]):
        uid = query.pop("indexUid")
        if query.pop("federationOptions", None) is not None:
            raise ApiError("invalid_multi_search_federation_options", _OPTIONS_ALONE)
        if asker.merges:
            require_network(asker.node.features)
        return {"indexUid": uid, **run_search(asker, uid, query)}


ROUTES: Final = (Route("POST", "/multi-search", "search", _multi, "search"),)

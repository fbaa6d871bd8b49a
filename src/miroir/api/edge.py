"""What the routes work with: the services, and nothing of how they are made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from miroir.api.actions import action_of, may_create
from miroir.api.auth import Guard
from miroir.api.http import Request
from miroir.api.router import Route
from miroir.core.consistency import Consistency
from miroir.core.topology import IndexUid
from miroir.errors import IndexNotFound, InvalidFloor
from miroir.ports.clock import Clock
from miroir.ports.store import Store
from miroir.services.adoption import Adoption
from miroir.services.catalog import Catalog, DocumentQuery
from miroir.services.cluster import Cluster, IndexView
from miroir.services.confirmations import Confirmations
from miroir.services.facet_searcher import FacetSearcher
from miroir.services.fence import Fence
from miroir.services.flags import Flags
from miroir.services.inspector import Inspector
from miroir.services.intake import check_uid
from miroir.services.joiner import Joiner
from miroir.services.keys import KeyRing
from miroir.services.lifecycle import Lifecycle
from miroir.services.progress import ProgressReader
from miroir.services.queue_keeper import QueueKeeper
from miroir.services.registrar import RefusedByNode, Registrar
from miroir.services.similar_finder import SimilarFinder
from miroir.services.steward import Steward
from miroir.services.suspects import Suspects
from miroir.services.swaps import Swapper
from miroir.services.webhooks import Webhooks
from miroir.services.writer import Writer
from miroir.telemetry import Metrics

_NUMBER: Final = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class ReadEdge:
    """
    The services behind searches, which every process has.

    Attributes:
        payload_bytes_max: Largest body taken.
        compress_from_bytes: Smallest answer that is compressed; 0: none is.
    """

    guard: Guard
    cluster: Cluster
    joiner: Joiner
    facet_searcher: FacetSearcher
    similar_finder: SimilarFinder
    catalog: Catalog
    metrics: Metrics
    clock: Clock
    payload_bytes_max: int
    compress_from_bytes: int

    def confine(self, route: Route, named: Mapping[str, str], request: Request) -> None:
        """
        Refuse what would make an index, to a key that may not; one may be on its way already.

        Raises:
            IndexNotFound: As the task of a node would end.
        """
        action = action_of(route.method, route.pattern)
        if request.may_create or action is None or not may_create(action):
            return
        if not self.cluster.view.will_exist(IndexUid(named["uid"])):
            self.index(named["uid"])

    def index(self, index_uid: str) -> IndexView:
        """
        Return a live index.

        Raises:
            IndexNotFound: There is none of this uid.
            InvalidIndexUid: There can be none.
        """
        index = self.cluster.view.live(index_uid)
        if index is None:
            check_uid(index_uid)
            raise IndexNotFound(f"Index `{index_uid}` not found.")
        return index

    async def index_to_read(self, request: Request, index_uid: str) -> IndexView:
        """
        Return a live index; of an unknown one, the request is judged all the same.

        A node looks at the parameters before it looks for the index.

        Raises:
            RefusedByNode: A node refuses the request whatever the index.
            IndexNotFound: There is none of this uid.
        """
        index = self.cluster.view.live(index_uid)
        if index is not None:
            return index
        check_uid(index_uid)
        refusal = await self.catalog.refusal_without_index(
            request,
            "/".join(request.path.strip("/").split("/")[2:]),
            self.guard.for_nodes(request),
        )
        if refusal is not None:
            raise RefusedByNode(refusal)
        return self.index(index_uid)

    async def document_query(self, request: Request, index_uid: str) -> DocumentQuery:
        """Return whose documents are asked for, on which conditions; raises as `index_to_read`."""
        return DocumentQuery(
            index=await self.index_to_read(request, index_uid),
            authorization=self.guard.for_nodes(request),
            floor=floor_of(request, index_uid),
        )


@dataclass(frozen=True)
class Edge(ReadEdge):
    """
    The services behind all routes, which the main process has.

    Attributes:
        commons: The view of features and keys, which `ring` and `flags` answer from.
        fence: What the readers have to know before anybody is answered.
        write_consistency: Where a request asks for none: one, majority, all.
    """

    store: Store
    registrar: Registrar
    lifecycle: Lifecycle
    confirmations: Confirmations
    writer: Writer
    swapper: Swapper
    keeper: QueueKeeper
    webhooks: Webhooks
    inspector: Inspector
    suspects: Suspects
    adoption: Adoption
    progress: ProgressReader
    ring: KeyRing
    flags: Flags
    steward: Steward
    commons: Cluster
    fence: Fence
    write_consistency: Consistency


def uid_of(named: Mapping[str, str]) -> IndexUid:
    """Return the index uid in the path."""
    return IndexUid(named["uid"])


def floor_of(request: Request, index_uid: str) -> int | None:
    """
    Return the settings version that the client asks for at least, for this index.

    The header is a number, or `movies=12,books=4`.

    Raises:
        InvalidFloor: Anything else.
    """
    text = request.header("x-miroir-min-settings-version")
    if text is None:
        return None
    if _NUMBER.fullmatch(text):
        return int(text)
    floors: dict[str, int] = {}
    for pair in text.split(","):
        uid, equals, version = pair.strip().partition("=")
        if not (uid and equals and _NUMBER.fullmatch(version)):
            raise InvalidFloor(
                f"`X-Miroir-Min-Settings-Version: {text}` is neither a number nor a list "
                "of `index=number`."
            )
        floors[uid] = int(version)
    return floors.get(index_uid)

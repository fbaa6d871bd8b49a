"""Makes what answers reads, and what golden queries are put with."""

from dataclasses import dataclass, field

from miroir.config import Config
from miroir.ports.clock import Clock
from miroir.ports.node import NodeControl, NodeTransport
from miroir.services.canaries import Canaries
from miroir.services.catalog import Catalog
from miroir.services.cluster import Cluster
from miroir.services.facet_searcher import FacetSearcher
from miroir.services.federated_searcher import FederatedSearcher
from miroir.services.gate import Gate
from miroir.services.joiner import Joiner
from miroir.services.multi_nodes import MultiNodes
from miroir.services.multi_searcher import MultiSearcher
from miroir.services.running import Running
from miroir.services.scatter import Doubter, Scatter
from miroir.services.searcher import Searcher
from miroir.services.similar_finder import SimilarFinder


@dataclass(frozen=True)
class ReadSide:
    """Searches and other reads."""

    scatter: Scatter
    joiner: Joiner
    facet_searcher: FacetSearcher
    similar_finder: SimilarFinder
    catalog: Catalog
    canaries: Canaries


@dataclass(frozen=True)
class ReadTools:
    """What reads work with."""

    transport: NodeTransport
    control: NodeControl
    clock: Clock
    cluster: Cluster
    health: Doubter
    running: Running
    gate: Gate = field(default_factory=Gate)


def make_read_side(config: Config, tools: ReadTools) -> ReadSide:
    """Make the services of reads."""
    scatter = Scatter(
        transport=tools.transport,
        cluster=tools.cluster,
        health=tools.health,
        running=tools.running,
        when_no_cover=config.settings_broadcast.when_no_cover,
        gate=tools.gate,
    )
    timeout_s = config.limits.search_timeout_s
    shard_count = tools.cluster.view.topology.shard_count
    searcher = Searcher(scatter=scatter, shard_count=shard_count, timeout_s=timeout_s)
    facets = FacetSearcher(scatter=scatter, shard_count=shard_count, timeout_s=timeout_s)
    similar = SimilarFinder(scatter=scatter, cluster=tools.cluster, timeout_s=timeout_s)
    multi_nodes = MultiNodes(
        scatter=scatter, control=tools.control, cluster=tools.cluster, timeout_s=timeout_s
    )
    federated = FederatedSearcher(nodes=multi_nodes, cluster=tools.cluster)
    multi = MultiSearcher(nodes=multi_nodes, federated=federated, cluster=tools.cluster)
    catalog = Catalog(
        scatter=scatter, control=tools.control, cluster=tools.cluster, timeout_s=timeout_s
    )
    canaries = Canaries(searcher=searcher, clock=tools.clock)
    joiner = Joiner(
        searcher=searcher,
        multi_searcher=multi,
        scatter=scatter,
        cluster=tools.cluster,
        timeout_s=timeout_s,
    )
    return ReadSide(scatter, joiner, facets, similar, catalog, canaries)

"""
Every metric of Miroir: one table, one class.

Rules: names begin with `miroir_`; counters end in `_total`, durations in `_seconds`; every label
has a bounded set of values: node names from the configuration, route patterns, small enumerations,
and index uids up to a maximum (or none at all). Never a label from a task uid, a query, a document
or a key. The table is what docs/reference/metrics.md is made from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from miroir.telemetry.tallies import Counts, Tallies

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
_ROUTES_MAX: Final = 200
_OTHER: Final = "other"

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_CHANGE_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class BroadcastPhase(IntEnum):
    """Values of `miroir_settings_broadcast_phase`."""

    IDLE = 0
    PROPOSE = 1
    VERIFY = 2
    COMMIT = 3
    ABORT = 4
    FROZEN = 5


@dataclass(frozen=True)
class Spec:
    """One metric, as operators see it."""

    kind: Literal["gauge", "counter", "histogram"]
    name: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


SPECS: Final[tuple[Spec, ...]] = (
    Spec(
        "gauge",
        "miroir_settings_broadcast_phase",
        ("index",),
        "Where the settings change of an index stands: "
        + ", ".join(f"{phase.value} {phase.name.lower()}" for phase in BroadcastPhase),
    ),
    Spec("gauge", "miroir_settings_version", ("index",), "Last committed settings version"),
    Spec("gauge", "miroir_unproved_nodes", ("index",), "Nodes not proved at this version"),
    Spec(
        "gauge",
        "miroir_quarantined_nodes",
        (),
        "Nodes out of the reads of at least one index because they are not proved at its settings "
        "version and no open change is about to prove them: silent, rejected, or drifted",
    ),
    Spec("gauge", "miroir_frozen_indexes", (), "Indexes that refuse document writes"),
    Spec("gauge", "miroir_metrics_indexes_hidden", (), "Indexes beyond metrics.index_label_max"),
    Spec(
        "counter",
        "miroir_settings_hash_mismatch_total",
        (),
        "Read-backs whose fingerprint was not the expected one",
    ),
    Spec(
        "counter",
        "miroir_settings_drift_detected_total",
        (),
        "Nodes found with settings that Miroir did not commit",
    ),
    Spec(
        "counter",
        "miroir_settings_drift_repair_total",
        ("result",),
        "Repairs that have ended: repaired, failed or given_up",
    ),
    Spec(
        "counter",
        "miroir_commons_drift_detected_total",
        ("object",),
        "Nodes found with other API keys or experimental features than were committed",
    ),
    Spec(
        "counter",
        "miroir_commons_drift_repair_total",
        ("object", "result"),
        "Repairs of API keys or features that have ended: repaired, failed or given_up",
    ),
    Spec(
        "counter",
        "miroir_leftover_indexes_deleted_total",
        (),
        "Indexes deleted from nodes that had missed their deletion",
    ),
    Spec(
        "counter",
        "miroir_replicas_disagreed_total",
        ("result",),
        "Replicas in sync found to hold other documents: resynced, or unresolved (an operator's)",
    ),
    Spec(
        "histogram",
        "miroir_settings_time_to_consistent_seconds",
        (),
        "From accepting a settings change to every included node proved at it",
        _CHANGE_BUCKETS,
    ),
    Spec(
        "histogram",
        "miroir_settings_mixed_window_seconds",
        (),
        "From the first node changed to the commit or the end of the abort",
        _CHANGE_BUCKETS,
    ),
    Spec(
        "histogram",
        "miroir_settings_drift_exposure_seconds",
        (),
        "From the last check that found a node right to its being taken out of reads",
        _CHANGE_BUCKETS,
    ),
    Spec(
        "gauge",
        "miroir_intents",
        ("state",),
        "Wanted changes that have not ended, by phase; every phase is shown",
    ),
    Spec(
        "gauge",
        "miroir_tasks",
        ("status",),
        "Miroir's tasks that have not ended: enqueued or processing",
    ),
    Spec(
        "gauge",
        "miroir_processes",
        (),
        "Processes that answer searches: the main one, and readers that know what is true",
    ),
    Spec("gauge", "miroir_node_up", ("node",), "1 when the node is healthy, else 0"),
    Spec(
        "counter",
        "miroir_node_requests_total",
        ("node", "outcome"),
        "Requests to a node: answered, unreachable, timeout or cancelled",
    ),
    Spec(
        "histogram",
        "miroir_node_request_seconds",
        ("node",),
        "From sending a request to a node to the end of its answer",
        _REQUEST_BUCKETS,
    ),
    Spec(
        "counter",
        "miroir_requests_total",
        ("route", "status"),
        "Requests of clients by route pattern and HTTP status",
    ),
    Spec(
        "histogram",
        "miroir_request_seconds",
        ("route",),
        "From a request's head to the last byte of its answer",
        _REQUEST_BUCKETS,
    ),
)


_BY_NAME: Final = {spec.name: spec for spec in SPECS}
_TALLIED: Final = ("s_total", "_seconds")
"""Ends of the names of what is counted for every search (tallies.py)."""


def _alone(kind: str) -> tuple[Spec, ...]:
    tallied = {
        prefix + end for prefix in ("miroir_node_request", "miroir_request") for end in _TALLIED
    }
    return tuple(spec for spec in SPECS if spec.kind == kind and spec.name not in tallied)


class Metrics:
    """
    The metrics of one process, in a registry of their own.

    Methods are cheap (about a microsecond) and never raise on any text; labels are bounded here,
    not by the callers.
    """

    def __init__(self, *, index_label: bool = True, index_label_max: int = 100) -> None:
        self.registry = CollectorRegistry()
        self._index_label_max = index_label_max if index_label else 0
        self._indexes: set[str] = set()
        self._hidden: set[str] = set()
        self._gauges = {s.name: self._gauge(s) for s in SPECS if s.kind == "gauge"}
        self._counters = {s.name: self._counter(s) for s in _alone("counter")}
        self._histograms = {s.name: self._histogram(s) for s in _alone("histogram")}
        self._node_calls = self._tallies("miroir_node_request")
        self._requests = self._tallies("miroir_request")
        self._routes: set[str] = set()

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text form (content type `CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    # ---- settings

    def broadcast_phase(self, index_uid: str, phase: BroadcastPhase) -> None:
        """Set where the settings change of an index stands."""
        self._set_for_index("miroir_settings_broadcast_phase", index_uid, phase.value)

    def settings_version(self, index_uid: str, version: int) -> None:
        """Set the last committed version of an index."""
        self._set_for_index("miroir_settings_version", index_uid, version)

    def unproved_nodes(self, index_uid: str, count: int) -> None:
        """Set how many nodes are not proved at the version of an index."""
        self._set_for_index("miroir_unproved_nodes", index_uid, count)

    def forget_index(self, index_uid: str) -> None:
        """Drop the metrics of a deleted index; unknown ones are ignored."""
        self._hidden.discard(index_uid)
        if index_uid in self._indexes:
            self._indexes.remove(index_uid)
            for spec in SPECS:
                if spec.labels == ("index",):
                    self._gauges[spec.name].remove_by_labels({"index": index_uid})
        self._gauges["miroir_metrics_indexes_hidden"].set(len(self._hidden))

    def frozen_indexes(self, count: int) -> None:
        """Set how many indexes refuse document writes."""
        self._gauges["miroir_frozen_indexes"].set(count)

    def quarantined_nodes(self, count: int) -> None:
        """Set how many nodes are out of the reads of an index until somebody repairs them."""
        self._gauges["miroir_quarantined_nodes"].set(count)

    def hash_mismatch(self) -> None:
        """Count a read-back with another fingerprint than expected."""
        self._counters["miroir_settings_hash_mismatch_total"].inc()

    def drift_detected(self) -> None:
        """Count a node found with settings that Miroir did not commit."""
        self._counters["miroir_settings_drift_detected_total"].inc()

    def commons_drift_detected(self, common: Literal["keys", "features"]) -> None:
        """Count a node found with keys or features that were not committed."""
        self._counters["miroir_commons_drift_detected_total"].labels(common).inc()

    def commons_drift_repair(
        self,
        common: Literal["keys", "features"],
        result: Literal["repaired", "failed", "given_up"],
    ) -> None:
        """Count a repair of keys or features that has ended."""
        self._counters["miroir_commons_drift_repair_total"].labels(common, result).inc()

    def leftover_deleted(self) -> None:
        """Count an index deleted from a node that had missed its deletion."""
        self._counters["miroir_leftover_indexes_deleted_total"].inc()

    def replicas_disagreed(self, result: Literal["resynced", "unresolved"]) -> None:
        """Count replicas of one shard that hold different documents though they are in sync."""
        self._counters["miroir_replicas_disagreed_total"].labels(result).inc()

    def drift_repair(self, result: Literal["repaired", "failed", "given_up"]) -> None:
        """Count a repair that has ended."""
        self._counters["miroir_settings_drift_repair_total"].labels(result).inc()

    def time_to_consistent(self, duration_s: float) -> None:
        """Observe a change from acceptance to every included node proved."""
        self._histograms["miroir_settings_time_to_consistent_seconds"].observe(duration_s)

    def mixed_window(self, duration_s: float) -> None:
        """Observe how long nodes could differ during a change."""
        self._histograms["miroir_settings_mixed_window_seconds"].observe(duration_s)

    def drift_exposure(self, duration_s: float) -> None:
        """Observe how long a foreign change could be seen by readers."""
        self._histograms["miroir_settings_drift_exposure_seconds"].observe(duration_s)

    # ---- the rest

    def intents(self, by_state: Mapping[str, int]) -> None:
        """Set the open intents by phase; phases left out are 0 from now on."""
        self._replace("miroir_intents", by_state)

    def tasks(self, by_status: Mapping[str, int]) -> None:
        """Set Miroir's tasks by status; statuses left out are 0 from now on."""
        self._replace("miroir_tasks", by_status)

    def processes(self, count: int) -> None:
        """Set how many processes answer searches."""
        self._gauges["miroir_processes"].set(count)

    def node_up(self, node_id: str, *, healthy: bool) -> None:
        """Set whether a node is healthy."""
        self._gauges["miroir_node_up"].labels(node_id).set(1 if healthy else 0)

    def node_call(self, node_id: str, outcome: str, duration_s: float) -> None:
        """Count one ended request to a node; the signature is that of `http_call.Observe`."""
        self._node_calls.count(node_id, outcome, duration_s)

    def request(self, route: str, status: int, duration_s: float) -> None:
        """
        Count one answered request of a client.

        Args:
            route: Its pattern, `/indexes/{uid}/search`, never its path.
            status: HTTP status of the answer.
            duration_s: From the request's head to the last byte of its answer.
        """
        if route not in self._routes:
            if len(self._routes) < _ROUTES_MAX:
                self._routes.add(route)
            else:
                route = _OTHER
        self._requests.count(route, str(status), duration_s)

    def taken(self) -> tuple[Counts, Counts]:
        """Return the calls to nodes and the requests counted so far, and forget them."""
        return self._node_calls.taken(), self._requests.taken()

    def add(self, calls: Counts, requests: Counts) -> None:
        """Count what another process of this server has counted."""
        self._node_calls.add(calls)
        self._requests.add(requests)

    # ---- inside

    def _set_for_index(self, name: str, index_uid: str, value: float) -> None:
        if index_uid not in self._indexes:
            if len(self._indexes) >= self._index_label_max:
                if self._index_label_max:
                    self._hidden.add(index_uid)
                    self._gauges["miroir_metrics_indexes_hidden"].set(len(self._hidden))
                return
            self._hidden.discard(index_uid)
            self._indexes.add(index_uid)
        self._gauges[name].labels(index_uid).set(value)

    def _replace(self, name: str, counts: Mapping[str, int]) -> None:
        gauge = self._gauges[name]
        gauge.clear()
        for label, count in counts.items():
            gauge.labels(label).set(count)

    def _tallies(self, prefix: str) -> Tallies:
        counter, histogram = (_BY_NAME[f"{prefix}{end}"] for end in _TALLIED)
        who, end = counter.labels
        tallies = Tallies(
            (counter.name, counter.help, (who, end)),
            (histogram.name, histogram.help, (who,)),
            histogram.buckets,
        )
        self.registry.register(tallies)
        return tallies

    def _gauge(self, spec: Spec) -> Gauge:
        return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)

    def _counter(self, spec: Spec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self.registry)

    def _histogram(self, spec: Spec) -> Histogram:
        return Histogram(
            spec.name, spec.help, spec.labels, registry=self.registry, buckets=spec.buckets
        )

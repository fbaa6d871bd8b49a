"""
Every key of the configuration: its meaning, default and limits.

The descriptions here are the reference (docs/reference/config.md is made from them). Units are in
the names: `_s` seconds, `_bytes` bytes, `_max` an upper limit. A key is added here only together
with the code that obeys it. No I/O and no defaults that depend on the machine.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from miroir.config.faults import Fault
from miroir.config.grid import grid_faults, long_form, normal_url
from miroir.config.secret import Secret, SecretRef
from miroir.core.topology import GroupId, Node, NodeId, ShardId, Topology

DriftMode = Literal["repair", "alert", "adopt", "off"]
_INDEX_UID = re.compile(r"[A-Za-z0-9_-]{1,400}")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        # Python counts true as 1; an operator does not.
        raise PydanticCustomError("int_type", "must be a number")
    return value


def _node_url(text: str) -> str:
    try:
        return normal_url(text)
    except ValueError as error:
        said = f"`{text}` {error}" if "@" not in text else str(error)
        raise PydanticCustomError("miroir", "{said}", {"said": said}) from error


def _index_names(modes: dict[str, DriftMode]) -> dict[str, DriftMode]:
    wrong = [uid for uid in modes if not _INDEX_UID.fullmatch(uid)]
    if wrong:
        said = "is no index uid; use letters, digits, `-` and `_`, at most 400"
        faults = [Fault((uid,), said) for uid in wrong]
        raise PydanticCustomError("modes", "no index uid", {"faults": faults})
    return modes


_NUMBER = BeforeValidator(_no_boolean)
Seconds = Annotated[float, _NUMBER, Field(gt=0, le=86_400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, _NUMBER, Field(ge=0, le=86_400, allow_inf_nan=False)]
Bytes = Annotated[int, _NUMBER, Field(ge=1024)]
Count = Annotated[int, _NUMBER, Field(ge=1, le=65_536)]
Processes = Annotated[int, _NUMBER, Field(ge=1, le=64)]
CountOrZero = Annotated[int, _NUMBER, Field(ge=0, le=65_536)]
BytesOrZero = Annotated[int, _NUMBER, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Port = Annotated[int, _NUMBER, Field(ge=0, le=65_535)]
NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, use_attribute_docstrings=True
    )


class ListenConfig(_Section):
    """Where clients reach Miroir."""

    host: Text = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `master_key`."""
    port: Port = 7700
    """Port to listen on; 0 takes a free one."""


class NodeConfig(_Section):
    """One Meilisearch server at its place in the grid."""

    name: NodeName
    """Its name in logs, metrics and `miroir status`. Default: n0, n1, ... in order."""
    url: Annotated[str, AfterValidator(_node_url)]
    """`http://host:port` or `https://host:port`."""
    shard: CountOrZero
    """Its shard, from 0. Left out for all nodes: filled group by group."""
    replica_group: CountOrZero
    """Its replica group, from 0. Left out for all nodes: filled group by group."""


class TopologyConfig(_Section):
    """
    The grid of nodes: `shards` x `replica_groups` places, one node in each.

    A replica group is one complete copy of the data, one node per shard. In the short form `nodes`
    is a list of URLs: the first `shards` of them are replica group 0, and so on.
    """

    shards: Count = 1
    """Parts that the documents are divided into."""
    replica_groups: Count = 1
    """Complete copies of the data."""
    nodes: tuple[NodeConfig, ...]
    """The nodes: mappings, or just URLs."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        return long_form(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        faults = list(grid_faults(self.shards, self.replica_groups, self.nodes))
        if faults:
            raise PydanticCustomError("grid", "the grid is not filled", {"faults": faults})
        return self

    def to_core(self, epoch: int = 1) -> Topology:
        """Return the grid as the rest of the program knows it."""
        return Topology(
            epoch,
            self.shards,
            self.replica_groups,
            tuple(
                Node(
                    NodeId(node.name),
                    ShardId(node.shard),
                    GroupId(node.replica_group),
                    node.url,
                )
                for node in self.nodes
            ),
        )


class SettingsBroadcastConfig(_Section):
    """How a settings change reaches every node."""

    strategy: Literal["two_phase", "sequential"] = "two_phase"
    """
    `two_phase`: propose to all nodes, verify, commit. `sequential`: node by node, each
    verified before the next.
    """
    waves: Literal["auto", "off"] = "auto"
    """
    `auto`: where every shard has two usable nodes, change one half while the other serves, so
    that no answer mixes versions. `off`: all nodes at once; answers that may mix versions carry
    `X-Miroir-Settings-Inconsistent: true`.
    """
    when_no_cover: Literal["available", "consistent"] = "available"
    """
    When no covering set is proved at one version: `available` answers, flagged;
    `consistent` answers 503.
    """
    probe_wait_s: SecondsOrZero = 2
    """How long to wait for the probe's task before going on without its result."""
    drain_max_s: SecondsOrZero = 10
    """
    How long to wait for running searches before a node is changed; one that runs longer is asked
    again on other nodes.
    """
    document_wait_max_s: SecondsOrZero = 300
    """
    How long a changed node may take to work off the documents that were queued behind the
    change, before it serves all the same (and a warning is logged).
    """
    verify_timeout_s: Seconds = 60
    """
    How long reading back the settings may take, counted from the end of the nodes'
    tasks.
    """
    node_silence_s: Seconds = 90
    """
    How long a node may make no progress before the change goes on without it or is
    aborted.
    """
    max_repair_retries: CountOrZero = 3
    """How often nodes that differ are sent the target again before the change is aborted."""
    freeze_writes_on_unrepairable: bool = True
    """
    Refuse document writes (503 `miroir_settings_frozen`) to an index whose settings can
    be neither changed nor restored.
    """


class SettingsDriftCheckConfig(_Section):
    """How settings changed behind Miroir's back are found and repaired."""

    interval_s: Seconds = 300
    """Every index on every node is read and compared once in this time."""
    feed_interval_s: Seconds = 2
    """
    Each node's task list is read once in this time for changes that are not ours, with one
    request whatever the number of indexes; what is named there is taken out of answers at once.
    """
    auto_repair: bool = True
    """`false`: report only, where `modes` does not say otherwise."""
    modes: Annotated[dict[str, DriftMode], AfterValidator(_index_names)] = {}
    """
    What a foreign change means, by index, e.g. `{movies: alert}`. `repair`: it is undone. `alert`:
    the node is left out and reported. `adopt`: it becomes the wanted settings of every node.
    `off`: it is not looked for; `X-Miroir-Settings-Version` then says what was last broadcast,
    not what is there.
    """
    repair_attempts_max: Count = 3
    """Repairs that do not hold before Miroir stops and alerts."""


class LimitsConfig(_Section):
    """Upper limits."""

    payload_bytes_max: Bytes = 104_857_600
    """Largest request body, also after decompression; larger ones get 413."""
    compress_from_bytes: BytesOrZero = 8192
    """
    Answers of at least this size are compressed (gzip, deflate, br) for clients that ask for it;
    0: none are.
    """
    connections_max: Count = 4096
    """Open connections of clients; further ones get 503 and are closed."""
    requests_max: Count = 1024
    """Requests in work at once; further ones get 503 with `Retry-After`."""
    bodies_bytes_max: Bytes = 536_870_912
    """Request bodies held in memory at once; further ones get 503 with `Retry-After`."""
    client_silence_s: Seconds = 30
    """
    How long a client may take to send a request's headers, may pause in a body (which has to
    come with 4 KiB/s at least), and may leave an answer unread, before its connection is closed.
    """
    keep_alive_s: Seconds = 75
    """How long a client's connection may rest between two requests."""
    shutdown_grace_s: SecondsOrZero = 20
    """How long requests in work may take to end after SIGTERM, before they are cut off."""
    connections_per_node_max: Count = 64
    """Open connections from this process to one node."""
    connect_timeout_s: Seconds = 2
    """Opening one connection to a node."""
    search_timeout_s: Seconds = 30
    """
    One read, with every retry on a sibling; a client may ask for less by `X-Miroir-Timeout-Ms`.
    """
    write_timeout_s: Seconds = 60
    """Handing one batch of documents to one node."""
    control_timeout_s: Seconds = 10
    """One other call to a node: settings, tasks, indexes, stats."""


class WritesConfig(_Section):
    """When a document write is acknowledged."""

    consistency: Literal["one", "majority", "all"] = "one"
    """
    How many replicas of every shard concerned must be in sync and have taken a write before it is
    acknowledged; a request can ask for another level by `X-Miroir-Write-Consistency`.
    """


class HealthConfig(_Section):
    """How Miroir learns which nodes are up."""

    interval_s: Seconds = 1
    """How often each node is asked for its health."""
    timeout_s: Seconds = 3
    """
    How long a node may take to answer that; one that does not is taken for down, and what was
    asked of it is asked elsewhere.
    """


class MetricsConfig(_Section):
    """What `/_miroir/metrics` shows."""

    index_label: bool = True
    """`false`: no metric carries an index name."""
    index_label_max: Count = 100
    """
    Indexes with metrics of their own; later ones are only counted in
    `miroir_metrics_indexes_hidden`.
    """


class LoggingConfig(_Section):
    """Logs, on standard error."""

    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console on a terminal, JSON otherwise."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""


class Config(_Section):
    """
    The whole configuration.

    Attributes that are secrets print as `***`.
    """

    listen: ListenConfig = ListenConfig()
    processes: Processes = 1
    """
    Processes that answer searches: the main one, which does everything, and readers, which pass on
    to it whatever is no search. One for each core that searches may use.
    """
    data_dir: Path = Path("miroir-data")
    """
    Folder of Miroir's own store; to be copied whole, while Miroir is stopped. Relative: from the
    folder of the file.
    """
    master_key: SecretRef = None
    """
    Shared by all nodes; opens the public side. Without it everything is open, as on a
    node without one.
    """
    admin_key: SecretRef = None
    """Opens `/_miroir/*`. Default: the master key."""
    secret_key: SecretRef = None
    """Seals embedder keys in the store. Default: derived from the master key."""
    task_webhook_url: SecretRef = None
    """
    Told of every task that ends, beside the webhooks made through the API; shown there under the
    uuid of zeros, and not to be changed there. A secret, since URLs may hold tokens.
    """
    task_webhook_authorization: SecretRef = None
    """Its `Authorization` header."""
    topology: TopologyConfig
    settings_broadcast: SettingsBroadcastConfig = SettingsBroadcastConfig()
    settings_drift_check: SettingsDriftCheckConfig = SettingsDriftCheckConfig()
    limits: LimitsConfig = LimitsConfig()
    writes: WritesConfig = WritesConfig()
    health: HealthConfig = HealthConfig()
    metrics: MetricsConfig = MetricsConfig()
    logging: LoggingConfig = LoggingConfig()

    @model_validator(mode="after")
    def _open_only_to_itself(self) -> Self:
        if self.master_key is None and self.listen.host not in _LOOPBACK:
            said = (
                f"`{self.listen.host}` would open every index to the network; "
                "set master_key, or use 127.0.0.1"
            )
            raise PydanticCustomError(
                "grid", "open", {"faults": [Fault(("listen", "host"), said)]}
            )
        return self

    @property
    def admin_secret(self) -> Secret | None:
        """What opens `/_miroir/*`; None leaves it open."""
        return self.admin_key or self.master_key

    @property
    def sealing_secret(self) -> Secret | None:
        """What the key that seals secrets in the store is derived from; None: seal nothing."""
        return self.secret_key or self.master_key

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that logs must never show."""
        known = (
            *(self.master_key, self.admin_key, self.secret_key),
            *(self.task_webhook_url, self.task_webhook_authorization),
        )
        return tuple(key for key in known if key)

"""
What the settings commands answer to a machine: `-o json`, `-o yaml`, and saved plans.

Every document says `apiVersion: miroir/v1` and its `kind`; fields are added under one version,
never renamed or taken away. The published schemas (docs/reference/schemas/) are made from these
classes. Secrets are never in them: references are, and marks.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

API_VERSION: Final = "miroir/v1"


class Form(BaseModel):
    """Names in camel case; a field that is not in the schema is an error."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Document(Form):
    """A whole answer."""

    api_version: Literal["miroir/v1"] = "miroir/v1"


class Server(Form):
    """Where an answer is from."""

    kind: Literal["meilisearch", "miroir"]
    url: str


class Base(Form):
    """Settings that something was planned upon."""

    version: int | None
    fingerprint: str


class Moved(Form):
    """A value of a list that has another place; from 1."""

    value: Any
    before: int
    after: int


class ChangeForm(Form):
    """One key that changes; the lists are there where both values are lists."""

    key: str
    action: Literal["set", "reset"]
    before: Any
    after: Any
    cost: Literal["instant", "facets", "re-tokenise", "re-embed"]
    cost_reason: str
    named: bool
    added: list[Any] | None = None
    removed: list[Any] | None = None
    moved: list[Moved] | None = None


class EstimateForm(Form):
    """How long it will probably take; `basis` says what that was learnt from."""

    low_seconds: float
    high_seconds: float
    basis: str


class IndexPlanForm(Form):
    """What has to happen to one index."""

    index: str
    source: str
    ownership: Literal["full", "partial"]
    action: Literal["create", "change", "none"]
    base: Base
    changes: list[ChangeForm]
    patch: dict[str, Any]
    cost: Literal["instant", "facets", "re-tokenise", "re-embed"]
    documents: int | None
    estimate: EstimateForm | None
    form: str
    second_cover: bool
    busy: list[str]
    unmanaged: list[str]
    missing_secrets: dict[str, str]
    masked_secrets: list[str]
    unsupported: dict[str, list[str]]
    hidden: list[str]
    refusals: list[str]


class PlanDocument(Document):
    """`miroir settings plan`; with `--out`, what `apply` takes."""

    kind: Literal["SettingsPlan"] = "SettingsPlan"
    server: Server
    environment: str | None
    send_secrets: bool
    changes: int
    indexes: list[IndexPlanForm]


class AppliedForm(Form):
    """What became of one index."""

    index: str
    outcome: Literal["applied", "unchanged", "accepted", "failed", "undone", "not started"]
    task: int | None = None
    intent: int | None = None
    version: int | None = None
    seconds: float | None = None
    error: str | None = None
    confirm_until: str | None = None


class ApplyDocument(Document):
    """`miroir settings apply`, `edit`, `rollback`."""

    kind: Literal["SettingsApplied"] = "SettingsApplied"
    server: Server
    indexes: list[AppliedForm]


class DifferenceForm(Form):
    """How one index differs on two sides; the lists are there where both values are lists."""

    index: str
    left: str
    right: str
    changes: list[ChangeForm]


class DiffDocument(Document):
    """`miroir settings diff`."""

    kind: Literal["SettingsDiff"] = "SettingsDiff"
    differs: bool
    indexes: list[DifferenceForm]


class FaultForm(Form):
    """A finding of `validate`; `line` 0: the whole file."""

    level: Literal["error", "warning"]
    rule: str
    file: str
    line: int
    index: str
    place: str
    message: str


class ValidationDocument(Document):
    """`miroir settings validate`."""

    kind: Literal["SettingsValidation"] = "SettingsValidation"
    valid: bool
    indexes: list[str]
    findings: list[FaultForm]


class VersionForm(Form):
    """A settings version."""

    version: int
    at: str
    by: str
    reason: str
    kind: str
    diff: dict[str, Any]
    duration: str | None
    nodes: dict[str, dict[str, Any]]
    settings: dict[str, Any] | None = None


class HistoryDocument(Document):
    """`miroir settings history`, newest first, and `show`."""

    kind: Literal["SettingsHistory"] = "SettingsHistory"
    index: str
    versions: list[VersionForm]


class NodeProgressForm(Form):
    """What one node does; the seconds that are left are an estimate."""

    name: str
    state: str
    percent: float | None
    error: str
    estimated_seconds_left: float | None = None
    step: str = ""


class RunningForm(Form):
    """A change that has not ended; the seconds that are left are an estimate."""

    index: str
    what: str
    phase: str
    nodes: list[NodeProgressForm]
    estimated_seconds_left: float | None = None


class IndexStatusForm(Form):
    """Where one index stands."""

    index: str
    version: int | None
    fingerprint: str
    phase: str
    documents: int | None
    busy: list[str]
    nodes: dict[str, dict[str, Any]]
    unconfirmed: dict[str, Any] | None
    frozen: str | None


class StatusDocument(Document):
    """`miroir settings status` and `watch --once`."""

    kind: Literal["SettingsStatus"] = "SettingsStatus"
    server: Server
    well: bool
    indexes: list[IndexStatusForm]
    running: list[RunningForm]


class DoneDocument(Document):
    """`settings cancel`, `confirm`, `thaw`, `drift repair`, `adopt`: an order was taken."""

    kind: Literal["Done"] = "Done"
    server: Server
    index: str
    done: Literal["canceled", "confirmed", "thawed", "repair ordered", "adoption ordered"]


class DriftForm(Form):
    """A node that strays."""

    index: str
    node: str
    state: str
    faults: list[str]
    mode: str
    breaker: str
    action: str
    why: str | None
    first_seen_at: str | None
    last_seen_at: str | None


class DriftRuleForm(Form):
    """What somebody has ordered for an index: its mode, and keys that are left alone."""

    index: str
    mode: str
    mode_is: Literal["ordered", "configured"]
    ignored_keys: list[str]
    by: str
    reason: str
    at: str


class DriftDocument(Document):
    """`miroir drift`; `differences` are what `explain` has read from the nodes."""

    kind: Literal["Drift"] = "Drift"
    results: list[DriftForm]
    modes: dict[str, str]
    rules: list[DriftRuleForm]
    orders: list[DriftRuleForm]
    unmanaged: list[dict[str, Any]]
    differences: list[DifferenceForm] = []


class FindingForm(Form):
    """A finding of `doctor`; with what to do about it unless all is well."""

    level: Literal["ok", "note", "warning", "error"]
    check: str
    says: str
    remedy: str


class DoctorDocument(Document):
    """`miroir doctor`."""

    kind: Literal["Doctor"] = "Doctor"
    server: Server
    healthy: bool
    findings: list[FindingForm]


class NodeForm(Form):
    """A node."""

    name: str
    url: str
    healthy: bool
    engine: str | None
    where: str


class NodesDocument(Document):
    """`miroir node list`."""

    kind: Literal["Nodes"] = "Nodes"
    server: Server
    nodes: list[NodeForm]


KINDS: Final[tuple[type[Document], ...]] = (
    PlanDocument,
    ApplyDocument,
    DiffDocument,
    ValidationDocument,
    HistoryDocument,
    StatusDocument,
    DoneDocument,
    DriftDocument,
    DoctorDocument,
    NodesDocument,
)

"""
Plans, versions and progress as documents; secrets hidden on the way.

The one place where something with a secret in it becomes something without. Shapes only.
"""

from collections.abc import Mapping
from typing import Any

from miroir.cli.settings.documents import (
    Base,
    ChangeForm,
    EstimateForm,
    IndexPlanForm,
    IndexStatusForm,
    Moved,
    NodeProgressForm,
    PlanDocument,
    RunningForm,
    Server,
    VersionForm,
)
from miroir.cli.settings.planning import Planned
from miroir.cli.settings.target import Live, Running, Target, Version
from miroir.core.estimate import Estimate
from miroir.core.secret_places import redacted, shown
from miroir.core.settings_plan import Change
from miroir.core.value_diff import SETS, list_diff


def server(target: Target) -> Server:
    """Return where an answer is from."""
    return Server(kind=target.kind, url=target.url)


def change_form(change: Change) -> ChangeForm:
    """Return one change, fit to be shown."""
    before, after = redacted(change.key, change.before), redacted(change.key, change.after)
    form = ChangeForm(
        key=change.key,
        action="reset" if change.resets else "set",
        before=before,
        after=after,
        cost=change.effect.cost.value,
        cost_reason=change.effect.why,
        named=change.named,
    )
    if isinstance(before, list) and isinstance(after, list):
        diff = list_diff(before, after, ordered=change.key not in SETS)
        form.added = [value for value, _ in diff.added]
        form.removed = [value for value, _ in diff.removed]
        form.moved = [Moved(value=v, before=old, after=new) for v, old, new in diff.moved]
    return form


def plan_form(planned: Planned) -> IndexPlanForm:
    """Return the plan of one index."""
    made, live = planned.plan, planned.live
    guess = planned.estimate
    return IndexPlanForm(
        index=made.index,
        source=planned.declared.source,
        ownership=planned.declared.ownership.value,
        action="none" if made.empty else "change" if made.exists else "create",
        base=Base(version=live.version, fingerprint=live.fingerprint),
        changes=[change_form(change) for change in made.changes],
        patch=shown(made.declared_patch),
        cost=made.cost.value,
        documents=live.documents,
        estimate=_estimate(guess),
        form=live.form,
        second_cover=live.second_cover,
        busy=list(live.busy),
        unmanaged=list(made.unmanaged),
        missing_secrets={
            ".".join(("embedders", *path)): ref for path, ref in (made.missing or {}).items()
        },
        masked_secrets=list(made.masked),
        unsupported={node: list(keys) for node, keys in planned.lagging.items()},
        hidden=list(made.hidden),
        refusals=list(made.refusals),
    )


def _estimate(guess: Estimate | None) -> EstimateForm | None:
    if guess is None:
        return None
    return EstimateForm(low_seconds=guess.low_s, high_seconds=guess.high_s, basis=guess.basis)


def plan_document(
    target: Target,
    planned: tuple[Planned, ...],
    environment: str | None,
    *,
    send_secrets: bool = False,
) -> PlanDocument:
    """Return the whole plan."""
    return PlanDocument(
        server=server(target),
        environment=environment,
        send_secrets=send_secrets,
        changes=sum(not each.plan.empty for each in planned),
        indexes=[plan_form(each) for each in planned],
    )


def version_form(version: Version, *, whole: bool = False) -> VersionForm:
    """Return one version; `whole` with its settings."""
    return VersionForm(
        version=version.version,
        at=version.at,
        by=version.by,
        reason=version.reason,
        kind=version.kind,
        diff={key: _pair(key, values) for key, values in version.diff.items()},
        duration=version.duration,
        nodes={name: dict(node) for name, node in version.nodes.items()},
        settings=shown(version.settings) if whole and version.settings is not None else None,
    )


def _pair(key: str, values: Any) -> Any:
    if isinstance(values, list):
        return [redacted(key, value) for value in values]
    return redacted(key, values)


def status_form(live: Live) -> IndexStatusForm:
    """Return where an index stands."""
    return IndexStatusForm(
        index=live.index,
        version=live.version,
        fingerprint=live.fingerprint,
        phase=live.phase,
        documents=live.documents,
        busy=list(live.busy),
        nodes={name: dict(cell) for name, cell in live.cells.items()},
        unconfirmed=_plain(live.unconfirmed),
        frozen=live.frozen,
    )


def running_form(running: Running) -> RunningForm:
    """Return a change that has not ended."""
    return RunningForm(
        index=running.index,
        what=running.what,
        phase=running.progress.phase,
        estimated_seconds_left=running.left_s,
        nodes=[
            NodeProgressForm(
                name=n.name,
                state=n.state,
                percent=n.percent,
                error=n.error,
                estimated_seconds_left=n.left_s,
                step=n.step,
            )
            for n in running.progress.nodes
        ],
    )


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)

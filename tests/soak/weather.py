"""
Carries a plan of faults out on the processes, and afterwards brings everything back to health.

Runs in the main thread: children of another thread would die with it (see miroir.cli.guard). A
disturbance counts as over when its process answers again. What is planned for a node that is
disturbed longer than planned is left out.
"""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from miroir.cli.process import ServerProcess
from tests.soak import markers
from tests.soak.history import Disturbance, Foreign
from tests.soak.plan import DEAF, FOREIGN, MIROIR, Fault
from tests.soak.stage import Stage

TICK_S: Final = 0.05
CONTROL_TIMEOUT_S: Final = 3.0
HEAL_MAX_S: Final = 60.0
CRASHED_MAX_S: Final = 0.5


@dataclass(order=True)
class _Moment:
    at_s: float
    begins: bool
    fault: Fault = field(compare=False)


class Weather:
    """Does to the processes what the plan says."""

    def __init__(self, stage: Stage, plan: Sequence[Fault]) -> None:
        self._stage = stage
        self._moments = [_Moment(fault.at_s, True, fault) for fault in plan]
        self._begun_s: dict[Fault, float] = {}
        self._recovering: list[Fault] = []

    def run(self, until_s: float) -> None:
        """Let the plan happen; returns at `until_s` on the stage's clock."""
        while (now_s := self._stage.clock.now_s()) < until_s:
            while self._moments and self._moments[0].at_s <= now_s:
                moment = heapq.heappop(self._moments)
                if moment.begins:
                    self._begin(moment.fault)
                else:
                    self._end(moment.fault)
            self._recovering = [f for f in self._recovering if not self._recovered(f)]
            time.sleep(TICK_S)

    def heal(self) -> str | None:
        """End every fault; return what does not come back, None if all is well."""
        for moment in self._moments:
            if not moment.begins:
                self._end(moment.fault)
        self._moments = []
        for name, process in self._stage.cluster.nodes.items():
            process.resume()
            process.start()
            self._rules(name, [])
        self._stage.cluster.miroir.start()
        deadline_s, sick = time.monotonic() + HEAL_MAX_S, ["never looked"]
        while time.monotonic() < deadline_s:
            self._recovering = [f for f in self._recovering if not self._recovered(f)]
            sick = [p.name for p in self._stage.cluster.processes if not p.healthy()]
            if not sick and not self._recovering:
                return None
            time.sleep(TICK_S)
        return f"{sick} do not answer, {len(self._recovering)} faults are not over"

    def _begin(self, fault: Fault) -> None:
        if fault.kind in FOREIGN:
            self._meddle(fault)
            return
        process, (name,) = self._process(fault), fault.on
        if any(other.on == fault.on for other in self._recovering):
            return  # It has not come back from the fault before.
        self._begun_s[fault] = self._stage.clock.now_s()
        match fault.kind:
            case "pause" | "pause_miroir":
                process.pause()
            case "kill" | "kill_miroir":
                process.kill()
            case _:
                self._rules(name, [dict(fault.rule)])
        heapq.heappush(self._moments, _Moment(fault.until_s, False, fault))

    def _end(self, fault: Fault) -> None:
        process, (name,) = self._process(fault), fault.on
        if fault.kind in {"pause", "pause_miroir"}:
            process.resume()
        elif fault.rule:
            self._rules(name, [])
        process.start()
        self._recovering.append(fault)

    def _recovered(self, fault: Fault) -> bool:
        """Whether its process answers again; if so the disturbance is kept."""
        process = self._process(fault)
        if not process.running:
            process.start()  # A crash that was asked for has happened at the last moment.
        if not process.healthy():
            return False
        self._stage.history.add(
            Disturbance(
                fault.kind,
                fault.on[0],
                self._begun_s[fault],
                self._stage.clock.now_s(),
                hearing=fault.kind in DEAF,
            )
        )
        return True

    def _meddle(self, fault: Fault) -> None:
        """Change settings behind Miroir's back, on every node that is not disturbed."""
        assert fault.index is not None
        marker = self._stage.mint.foreign(fault.index)
        disturbed = {name for f in self._begun_now() for name in f.on}
        for name in fault.on:
            if name in disturbed:
                continue
            line = self._stage.node_line(name, timeout_s=CONTROL_TIMEOUT_S)
            path = f"/indexes/{fault.index}/settings"
            answer = line.ask("PATCH", path, {"synonyms": markers.synonyms(marker)})
            line.close()
            self._stage.history.add(
                Foreign(fault.index, name, marker, answer.sent_s, answer.received_s, answer.status)
            )

    def _begun_now(self) -> list[Fault]:
        return [m.fault for m in self._moments if not m.begins] + self._recovering

    def _rules(self, node: str, rules: list[dict[str, object]]) -> None:
        if self._stage.cluster.layout.engine.kind != "embedded":
            return
        line = self._stage.node_line(node, timeout_s=CONTROL_TIMEOUT_S)
        line.ask("POST", "/_faults", rules)  # A dead node has no rules anyway.
        line.close()

    def _process(self, fault: Fault) -> ServerProcess:
        if fault.on == (MIROIR,):
            return self._stage.cluster.miroir
        return self._stage.cluster.nodes[fault.on[0]]

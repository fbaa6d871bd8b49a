"""
The plan of a soak: which fault, on whom, when and for how long. Pure; one seed, one plan.

Rules:
- Nothing is disturbed before `calm_s`, and nothing begins after the end of the load.
- Of one column one node at most is disturbed at a time, and after each fault its column is left
  alone for a moment, so that no column is without a living node for long.
- Somebody else's changes go to nodes that are not disturbed by then.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MIROIR: Final = "miroir"
GAP_MEAN_S: Final = 1.0
FOREIGN_GAP_MEAN_S: Final = 2.5
FOR_S: Final = (0.3, 4.0)
LONG_S: Final = (4.0, 9.0)
LONG_SHARE: Final = 0.2
"""So often a fault outlasts `node_silence_s`."""
REST_S: Final = (0.5, 2.5)
SETTINGS_PATH: Final = "/(settings|tasks)"
SEARCH_PATH: Final = "/search$"


@dataclass(frozen=True)
class Fault:
    """
    One fault.

    Attributes:
        kind: A name of `WEIGHTS`.
        on: Nodes; `miroir`.
        index: Of somebody else's change.
        rule: For an embedded node; see miroir.node.faults.
    """

    at_s: float
    kind: str
    on: tuple[str, ...]
    for_s: float = 0.0
    index: str | None = None
    rule: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def until_s(self) -> float:
        """When it ends."""
        return self.at_s + self.for_s

    def __str__(self) -> str:
        what = f" {dict(self.rule)}" if self.rule else ""
        where = f" in {self.index}" if self.index else ""
        return (
            f"{self.at_s:7.2f} s  {self.kind} on {','.join(self.on)}{where}{what} {self.for_s} s"
        )


FOREIGN: Final[dict[str, int]] = {"foreign": 4, "foreign_everywhere": 1}
WEIGHTS: Final[dict[str, int]] = {
    "pause": 4,
    "kill": 3,
    "kill_miroir": 2,
    "pause_miroir": 1,
    "latency": 4,
    "slow_settings": 2,
    "reset": 3,
    "lost_response": 3,
    "status": 3,
    "slow_body": 1,
    "task_fail": 2,
    "task_stall": 2,
    "setting_ignored": 2,
    "crash": 2,
}
KINDS: Final = frozenset(WEIGHTS) | frozenset(FOREIGN)
OF_PROCESSES: Final = frozenset({*FOREIGN, "pause", "kill", "kill_miroir", "pause_miroir"})
"""What befalls real Meilisearch too, which obeys nobody."""
DEAF: Final = frozenset(
    {
        "pause",
        "kill",
        "kill_miroir",
        "pause_miroir",
        "slow_settings",
        "slow_body",
        "reset",
        "lost_response",
        "status",
        "crash",
    }
)
"""Faults that keep Miroir and a node from hearing of each other."""


@dataclass(frozen=True)
class Frame:
    """What a plan is made for."""

    columns: Sequence[Sequence[str]]
    indexes: Sequence[str]
    seconds: float
    calm_s: float
    kinds: frozenset[str] = KINDS


def plan(seed: int, frame: Frame) -> list[Fault]:
    """Return the faults of a run, in the order of their beginning."""
    return list(_Planner(random.Random(seed), frame).faults())


class _Planner:
    def __init__(self, chance: random.Random, frame: Frame) -> None:
        self._chance, self._frame = chance, frame
        self._free_s = dict.fromkeys(range(len(frame.columns)), 0.0)
        self._hurt_until_s: dict[str, float] = {}
        self._miroir_free_s = 0.0

    def faults(self) -> Iterator[Fault]:
        """Two streams, so that foreign changes come as often as they do whatever else happens."""
        for at_s, kind in sorted(
            [*self._stream(WEIGHTS, GAP_MEAN_S), *self._stream(FOREIGN, FOREIGN_GAP_MEAN_S)]
        ):
            fault = self._fault(kind, at_s)
            if fault is not None:
                yield fault

    def _stream(
        self, weights: Mapping[str, int], gap_mean_s: float
    ) -> Iterator[tuple[float, str]]:
        kinds = [kind for kind in weights if kind in self._frame.kinds]
        at_s = self._frame.calm_s
        while kinds:
            at_s = round(at_s + self._chance.expovariate(1 / gap_mean_s), 2)
            if at_s >= self._frame.seconds:
                return
            (kind,) = self._chance.choices(kinds, [weights[kind] for kind in kinds])
            yield at_s, kind

    def _fault(self, kind: str, at_s: float) -> Fault | None:
        if kind in FOREIGN:
            return self._foreign(kind, at_s)
        if kind.endswith("_miroir"):
            return self._of_miroir(kind, at_s)
        columns = [c for c, free_s in self._free_s.items() if free_s <= at_s]
        if not columns:
            return None
        column = self._chance.choice(columns)
        node = self._chance.choice(self._frame.columns[column])
        long = self._chance.random() < LONG_SHARE
        for_s = round(self._chance.uniform(*(LONG_S if long else FOR_S)), 2)
        fault = Fault(at_s, kind, (node,), for_s, rule=self._rule(kind))
        self._free_s[column] = fault.until_s + self._chance.uniform(*REST_S)
        self._hurt_until_s[node] = fault.until_s
        return fault

    def _foreign(self, kind: str, at_s: float) -> Fault | None:
        nodes = [node for column in self._frame.columns for node in column]
        well = [node for node in nodes if self._hurt_until_s.get(node, 0.0) < at_s]
        index = self._chance.choice(self._frame.indexes)
        if not well:
            return None
        if kind == "foreign":
            well = [self._chance.choice(well)]
        return Fault(at_s, kind, tuple(well), index=index)

    def _of_miroir(self, kind: str, at_s: float) -> Fault | None:
        if at_s < self._miroir_free_s:
            return None
        for_s = round(self._chance.uniform(0.0, 2.0), 2)
        self._miroir_free_s = at_s + for_s + 8.0
        return Fault(at_s, kind, (MIROIR,), for_s)

    def _rule(self, kind: str) -> dict[str, Any]:
        chance = self._chance
        settings_task = {"type": "settingsUpdate", "index": "^soak-"}
        match kind:
            case "latency":
                return {"fault": kind, "path": SEARCH_PATH, "ms": chance.randint(100, 3000)}
            case "slow_settings":
                ms = chance.randint(100, 2500)
                return {"fault": "latency", "path": SETTINGS_PATH, "ms": ms}
            case "reset" | "lost_response":
                seed = chance.randrange(1000)
                probability = chance.choice([0.1, 0.3, 0.6])
                return {"fault": kind, "probability": probability, "seed": seed}
            case "status":
                path = chance.choice([SETTINGS_PATH, SEARCH_PATH, "/documents", ""])
                status = chance.choice([500, 502, 503])
                seed = chance.randrange(1000)
                rule = {"fault": kind, "status": status, "path": path, "probability": 0.4}
                return {**rule, "seed": seed}
            case "slow_body":
                return {"fault": kind, "ms": chance.randint(100, 1500), "probability": 0.3}
            case "task_fail":
                return {"fault": kind, **settings_task, "times": chance.choice([1, 2, 5])}
            case "task_stall":
                return {
                    "fault": kind,
                    **settings_task,
                    "ms": chance.randint(500, 7000),
                    "times": 2,
                }
            case "setting_ignored":
                keys = ["synonyms"]
                return {"fault": kind, **settings_task, "keys": keys,
                        "times": chance.choice([1, 2, 5])}  # fmt: skip
            case "crash":
                moment = chance.choice(["task_start", "task_commit", "task_end", "response"])
                return {"fault": kind, "at": moment, "times": 1}
            case _:
                return {}

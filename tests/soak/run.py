"""
One run: a cluster, its load, its faults, its end. Returns the history; judges nothing.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from miroir.cli.layout import Engine, Shape
from tests.soak.document_writers import DocumentWriter, SideWriter
from tests.soak.ending import Ending
from tests.soak.history import History, Setup, Unsettled
from tests.soak.plan import KINDS, OF_PROCESSES, Frame, plan
from tests.soak.readers import Reader
from tests.soak.settings_writers import SettingsWriter
from tests.soak.stage import INDEXES, Stage, lay
from tests.soak.weather import Weather

CALM_S = 6.0
SETTINGS_WRITERS = 3
DOCUMENT_PAUSE_S = 0.3
JOIN_MAX_S = 60.0


@dataclass(frozen=True)
class Order:
    """
    What shall be run.

    Attributes:
        seconds: Of load and faults; healing comes on top.
        rate: Searches a second of each reader, at most.
        kinds: Of faults; None = all that the nodes can be made to have.
        settings: Further keys of Miroir's configuration, `section.key` and value.
    """

    seconds: float
    seed: int
    shape: Shape
    engine: Engine
    folder: Path
    readers: int
    rate: float
    kinds: frozenset[str] | None = None
    settings: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        return f"{self.seconds:g} s, seed {self.seed}, {self.shape}, {self.engine}"


def soak(order: Order, say: Callable[[str], None]) -> History:
    """Run it."""
    stage = lay(order.folder, order.shape, order.engine, order.settings)
    with stage.cluster:
        stage.prepare()
        stage.clock.begin()
        faults = plan(order.seed, _frame(order, stage))
        weather, threads = Weather(stage, faults), _load(order, stage)
        for thread in threads:
            thread.start()
        say(f"the load runs; {len(faults)} faults are planned")
        weather.run(order.seconds)
        healed_s = _end(stage, weather, threads, say)
        calm_until_s = min((fault.at_s for fault in faults), default=order.seconds)
        stage.history.add(_setup(order, stage, calm_until_s, healed_s))
    return stage.history


def _frame(order: Order, stage: Stage) -> Frame:
    possible = KINDS if order.engine.kind == "embedded" else OF_PROCESSES
    kinds = possible if order.kinds is None else possible & order.kinds
    return Frame(stage.columns, INDEXES, order.seconds, CALM_S, kinds)


def _load(order: Order, stage: Stage) -> list[threading.Thread]:
    """Return all threads of the load, none of them started."""
    seed = order.seed * 1000
    readers = [
        Reader(
            stage,
            f"reader-{n}",
            INDEXES[n % len(INDEXES)],
            pins=n // len(INDEXES) % 2 == 0,
            pause_s=1 / order.rate,
        )
        for n in range(order.readers)
    ]
    settings = [SettingsWriter(stage, f"settings-{n}", seed + n) for n in range(SETTINGS_WRITERS)]
    documents = [
        DocumentWriter(stage, n + 1, index, seed=seed + 100 + n, pause_s=DOCUMENT_PAUSE_S)
        for n, index in enumerate(INDEXES)
    ]
    return [*readers, *settings, *documents, SideWriter(stage, seed + 200)]


def _end(
    stage: Stage,
    weather: Weather,
    threads: list[threading.Thread],
    say: Callable[[str], None],
) -> float | None:
    """Stop the load, let everything heal, take stock; return when all was well."""
    say("the faults end")
    stage.stop_writing.set()
    sick = weather.heal()
    if sick:
        stage.history.add(Unsettled(sick))
    for thread in threads:
        if not isinstance(thread, Reader):
            thread.join(JOIN_MAX_S)
    ending = Ending(stage)
    healed_s = ending.settle()
    say(f"settled: {healed_s}")
    if healed_s is not None:
        ending.quiet()
    stage.stop_reading.set()
    for thread in threads:
        thread.join(JOIN_MAX_S)
    if any(thread.is_alive() for thread in threads):
        stage.history.add(Unsettled("a thread of the load does not end"))
    ending.take_stock()
    return healed_s


def _setup(order: Order, stage: Stage, calm_until_s: float, healed_s: float | None) -> Setup:
    return Setup(
        shape=str(order.shape),
        seed=order.seed,
        engine=f"{order.engine.kind} {stage.cluster.engine_version}",
        columns=stage.columns,
        indexes=INDEXES,
        setup_version=stage.setup_version,
        setup_marker=stage.setup_marker,
        calm_until_s=calm_until_s,
        healed_s=healed_s,
    )

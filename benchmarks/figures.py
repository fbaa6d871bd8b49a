"""A figure: a ratio, to what, and whether that is good enough; or why there is none."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """
    One line of output: `search vs go: 1.62 (...); target >= 1.50 met`.

    Attributes:
        name: What was measured.
        ratio: To the reference; whether more or less is better, the target says.
        reference: What was measured beside it, in the same run.
        detail: The numbers behind the ratio, for the reader only.
        ratio_max: The target where less is better; None where there is none.
        ratio_min: The target where more is better; None where there is none.
        unit: Of what is no ratio but a difference to the reference.
    """

    name: str
    ratio: float
    reference: str
    detail: str = ""
    ratio_max: float | None = None
    ratio_min: float | None = None
    unit: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is not met."""
        too_much = self.ratio_max is not None and self.ratio > self.ratio_max
        return too_much or (self.ratio_min is not None and self.ratio < self.ratio_min)

    def __str__(self) -> str:
        verdict = "MISSED" if self.missed else "met"
        detail = f" ({self.detail})" if self.detail else ""
        target = ""
        if self.ratio_max is not None:
            target = f"; target <= {self.ratio_max:.2f}{self.unit} {verdict}"
        if self.ratio_min is not None:
            target = f"; target >= {self.ratio_min:.2f}{self.unit} {verdict}"
        return f"{self.name} vs {self.reference}: {self.ratio:.2f}{self.unit}{detail}{target}"


@dataclass(frozen=True)
class Skipped:
    """
    One line that says what could not be measured here; never a stored number.

    Attributes:
        name: What would have been measured.
        why: What is missing.
    """

    name: str
    why: str
    missed = False

    def __str__(self) -> str:
        return f"{self.name}: skipped, {self.why}"


def medians(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Run every contestant in turn, `rounds` times; return the median of what each returned."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            found[name].append(run())
    return {name: statistics.median(values) for name, values in found.items()}


def cpu_us(work: Callable[[], object], times: int) -> float:
    """Return the microseconds of this process' CPU that one call takes, over `times` calls."""
    started_s = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started_s) / times * 1e6

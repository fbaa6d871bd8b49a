"""A figure: a ratio, what it is a ratio to, and whether that is good enough."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """
    One line of output.

    Attributes:
        name: What was measured.
        ratio: To the reference; below 1 means cheaper.
        reference: What was measured beside it, in the same run.
        detail: The numbers behind the ratio, for the reader only.
        ratio_max: The target; None where there is none.
    """

    name: str
    ratio: float
    reference: str
    detail: str = ""
    ratio_max: float | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a target and it is not met."""
        return self.ratio_max is not None and self.ratio > self.ratio_max

    def __str__(self) -> str:
        target = ""
        if self.ratio_max is not None:
            verdict = "MISSED" if self.missed else "met"
            target = f"; target <= {self.ratio_max:.2f}x {verdict}"
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.ratio:6.2f}x  {self.name} / {self.reference}{target}{detail}"


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

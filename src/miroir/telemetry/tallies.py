"""
Counted calls: how many, how they ended, and how long they took.

The metrics of the hot path, four updates for each search: a tally is a few numbers in a list, and
becomes Prometheus' families only when somebody asks. One counter with the labels (who, end), and
one histogram with the label (who).
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Counts = tuple[tuple[tuple[str, str, int], ...], Mapping[str, tuple[tuple[int, ...], float]]]
"""(who, how it ended, how often) and, for each who, the counts of its buckets and seconds."""


class _Times:
    """Durations of one label value."""

    __slots__ = ("counts", "sum_s")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum_s = 0.0


class Tallies(Collector):
    """
    A counter and a histogram that are counted together.

    Not for threads: whoever counts and whoever asks run in the event loop.
    """

    def __init__(
        self,
        counter: tuple[str, str, tuple[str, str]],
        histogram: tuple[str, str, tuple[str]],
        bounds_s: Sequence[float],
    ) -> None:
        """
        Begin at nothing.

        Args:
            counter: Name, help and labels.
            histogram: Name, help and label, which is the counter's first.
            bounds_s: Upper bounds of the buckets, ascending, without the last and infinite one.
        """
        self._counter = counter
        self._histogram = histogram
        self._bounds_s = tuple(bounds_s)
        self._names = [*(str(float(bound)) for bound in bounds_s), "+Inf"]
        self._ends: dict[tuple[str, str], int] = {}
        self._times: dict[str, _Times] = {}

    def count(self, who: str, end: str, duration_s: float) -> None:
        """Count one."""
        key = (who, end)
        self._ends[key] = self._ends.get(key, 0) + 1
        times = self._times.get(who)
        if times is None:
            times = self._times[who] = _Times(len(self._names))
        times.counts[bisect_left(self._bounds_s, duration_s)] += 1
        times.sum_s += duration_s

    def taken(self) -> Counts:
        """Return everything counted so far, and begin at nothing again."""
        ends = tuple((*key, count) for key, count in self._ends.items())
        times = {who: (tuple(t.counts), t.sum_s) for who, t in self._times.items()}
        self._ends, self._times = {}, {}
        return ends, times

    def add(self, counts: Counts) -> None:
        """Count what was counted elsewhere, with the same buckets."""
        ends, times = counts
        for who, end, count in ends:
            self._ends[who, end] = self._ends.get((who, end), 0) + count
        for who, (buckets, sum_s) in times.items():
            known = self._times.setdefault(who, _Times(len(self._names)))
            known.counts = [a + b for a, b in zip(known.counts, buckets, strict=True)]
            known.sum_s += sum_s

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        name, text, labels = self._counter
        counted = CounterMetricFamily(name, text, labels=labels)
        for key, count in self._ends.items():
            counted.add_metric(key, count)
        yield counted
        name, text, label = self._histogram
        timed = HistogramMetricFamily(name, text, labels=label)
        for who, times in self._times.items():
            buckets = list(zip(self._names, accumulate(times.counts), strict=True))
            timed.add_metric((who,), buckets, times.sum_s)
        yield timed

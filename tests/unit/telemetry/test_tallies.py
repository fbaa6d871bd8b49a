"""What is counted cheaply reads as if Prometheus' own client had counted it."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from miroir.telemetry.tallies import Tallies

BOUNDS = (0.001, 0.5, 10)
SEEN = [
    ("a", "200", 0.001), ("a", "404", 0.0011), ("b", "200", 0.5), ("a", "200", 11.0),
    ("b", "200", 0.0),
]  # fmt: skip


def test_the_exposition_is_that_of_the_usual_client():
    """Dashboards and alerts must not notice who counts; bounds belong to the lower bucket."""
    registry, reference = CollectorRegistry(), CollectorRegistry()
    tallies = _tallies()
    registry.register(tallies)
    counter = Counter("calls_total", "Calls", ("who", "end"), registry=reference)
    histogram = Histogram("call_seconds", "Time", ("who",), registry=reference, buckets=BOUNDS)
    for who, end, duration_s in SEEN:
        tallies.count(who, end, duration_s)
        counter.labels(who, end).inc()
        histogram.labels(who).observe(duration_s)
    assert _lines(registry) == _lines(reference)


def test_what_two_have_counted_adds_up():
    """Processes of one server count for themselves; whoever asks one of them asks all."""
    alone, main, other = _tallies(), _tallies(), _tallies()
    for number, seen in enumerate(SEEN):
        alone.count(*seen)
        (main if number % 2 else other).count(*seen)
        main.add(other.taken())
    main.add(other.taken())  # Nothing is left, and so nothing counts twice.
    assert _exposed(main) == _exposed(alone)
    assert main.taken() != ((), {})
    assert main.taken() == ((), {})


def _tallies() -> Tallies:
    return Tallies(
        ("calls_total", "Calls", ("who", "end")), ("call_seconds", "Time", ("who",)), BOUNDS
    )


def _exposed(tallies: Tallies) -> list[str]:
    registry = CollectorRegistry()
    registry.register(tallies)
    return sorted(_lines(registry))


def _lines(registry: CollectorRegistry) -> list[str]:
    """Return what is exposed, but for the moments of creation, which nobody asked for."""
    return [
        line for line in generate_latest(registry).decode().split("\n") if "_created" not in line
    ]

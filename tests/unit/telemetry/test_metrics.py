"""Numbers that operators alert on, and labels that must not explode."""

from miroir.telemetry import Metrics
from miroir.telemetry.metrics import SPECS, BroadcastPhase


def lines(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


def test_every_metric_of_the_table_is_exposed():
    """Dashboards and alerts are written from the reference."""
    text = Metrics().exposition().decode()
    for spec in SPECS:
        assert f"# TYPE {spec.name} {spec.kind}" in text


def test_indexes_beyond_the_maximum_are_counted_and_not_named():
    """Index names come from clients: unbounded, they would bring the scraper down."""
    metrics = Metrics(index_label_max=1)
    metrics.settings_version("a", 3)
    metrics.settings_version("b", 4)
    metrics.broadcast_phase("b", BroadcastPhase.VERIFY)
    assert 'miroir_settings_version{index="a"} 3.0' in lines(metrics)
    assert "miroir_metrics_indexes_hidden 1.0" in lines(metrics)
    assert 'index="b"' not in "\n".join(lines(metrics))


def test_a_deleted_index_makes_room_for_another():
    """A cluster that creates and deletes indexes all day keeps its metrics."""
    metrics = Metrics(index_label_max=1)
    metrics.settings_version("a", 3)
    metrics.forget_index("a")
    metrics.settings_version("b", 1)
    text = "\n".join(lines(metrics))
    assert 'miroir_settings_version{index="b"} 1.0' in text
    assert 'index="a"' not in text


def test_no_metric_names_an_index_when_the_label_is_off():
    """Index names can be customers' names."""
    metrics = Metrics(index_label=False)
    metrics.settings_version("secret-customer", 1)
    assert "secret-customer" not in metrics.exposition().decode()
    assert "miroir_metrics_indexes_hidden 0.0" in lines(metrics)


def test_routes_are_bounded_even_when_a_caller_passes_paths():
    """One mistake in a handler must not become a series for each document."""
    metrics = Metrics()
    for number in range(1000):
        metrics.request(f"/indexes/movies/documents/{number}", 200, 0.01)
    series = [line for line in lines(metrics) if line.startswith("miroir_requests_total{")]
    assert len(series) == 201
    assert 'miroir_requests_total{route="other",status="200"} 800.0' in series


def test_a_state_that_no_intent_is_in_any_more_is_gone():
    """A gauge that keeps its last value would show a change that ended long ago."""
    metrics = Metrics()
    metrics.intents({"proposing": 2})
    metrics.intents({"verifying": 1})
    shown = [line for line in lines(metrics) if line.startswith("miroir_intents{")]
    assert shown == ['miroir_intents{state="verifying"} 1.0']

"""
What Miroir tells about itself: logs and metrics.

    logs.py           structlog set up once: JSON or console, secrets masked
    known_secrets.py  what nobody may hear, whoever says it
    metrics.py        every metric by name, labels and unit; bounded labels
    tallies.py        the metrics of the hot path
    reference.py      docs/reference/metrics.md

Code that logs asks structlog for a logger and names the event: `_log.info("node_down", node=...)`.
Code that counts is given a `Metrics`; there is no global one. Neither ever changes what the
program does.
"""

from miroir.telemetry.known_secrets import KnownSecrets
from miroir.telemetry.logs import Redactor, set_up_logs
from miroir.telemetry.metrics import BroadcastPhase, Metrics

__all__ = ["BroadcastPhase", "KnownSecrets", "Metrics", "Redactor", "set_up_logs"]

"""
docs/reference/metrics.md, made from the table: `python -m miroir.telemetry.reference > FILE`.

Text only; a test compares the file with what this returns.
"""

import sys
from typing import Final

from miroir.telemetry.metrics import SPECS

_INTRODUCTION: Final = """\
# Metrics

<!-- Made by `python -m miroir.telemetry.reference`; change src/miroir/telemetry/metrics.py. -->

`GET /_miroir/metrics` (with the admin key) answers in Prometheus' text form. Each process has its
own numbers. Labels are bounded: `node` by the configuration, `route` by Miroir's route patterns
(never paths), `index` by `metrics.index_label_max`; `metrics.index_label: false` drops every
metric that has an `index` label. Histograms also have `_bucket`, `_sum` and `_count`; counters a
`_created` time.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """Return the whole page."""
    rows = (
        f"| `{spec.name}` | {spec.kind} | {', '.join(f'`{label}`' for label in spec.labels)}"
        f" | {spec.help}. |"
        for spec in SPECS
    )
    return _INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

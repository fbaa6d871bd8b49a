"""
What concerns every test.

The longest file goes first, so that nobody waits for it at the end. Property tests know no times:
a busy machine is no fault of what is tested.
"""

import pytest
from hypothesis import HealthCheck, settings

_LONGEST = "simulation/test_seeds.py"

settings.register_profile("timeless", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("timeless")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the file that uses every core first; the order of the rest stays."""
    items.sort(key=lambda item: _LONGEST not in item.nodeid)

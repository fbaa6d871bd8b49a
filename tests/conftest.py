"""What concerns every test: the longest file first, so that nobody waits for it at the end."""

import pytest

_LONGEST = "simulation/test_seeds.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the file that uses every core first; the order of the rest stays."""
    items.sort(key=lambda item: _LONGEST not in item.nodeid)

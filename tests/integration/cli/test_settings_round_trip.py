"""
Whatever settings somebody writes: pulled after they were applied, they are the same settings.

"The same" is what the node shows, and what a second index shows that is made from the pulled file.
Run on the embedded node, and on a real binary where there is one.
"""

import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.integration.cli.test_settings_plain import NODES
from tests.support.command_line import CommandLine
from tests.support.node_process import KEY, embedded_node, real_node
from tests.support.sim_patches import _VALID

from miroir.cli.admin_client import AdminClient
from miroir.cli.settings.files import dump, quoted
from miroir.core import settings as rules
from miroir.core.secret_places import places, referenced

_ROUNDS = 8
_BESIDES: dict[str, Any] = {
    "prefixSearch": lambda c: c.choice((None, "disabled", "indexingTime")),
    "facetSearch": lambda c: c.choice((None, True, False)),
    "nonSeparatorTokens": lambda c: c.choice((None, [], ["@", "#"], ["_"])),
    "foreignKeys": lambda c: c.choice(
        (None, [], [{"foreignIndexUid": "books", "fieldName": "book"}])
    ),
    "chat": lambda c: c.choice(
        ({"description": "films: no, on"}, {"searchParameters": {"limit": c.choice((1, 7))}})
    ),
}
_numbers = count()


def _written(seed: int) -> dict[str, Any]:
    """Return a value or null for each of the settings."""
    chance = random.Random(seed)
    makers = {**_VALID, **_BESIDES}
    assert set(makers) == set(rules.BY_KEY), "every setting is generated"
    return {key: makers[key](chance) for key in rules.BY_KEY}


@pytest.fixture(scope="module", params=NODES)
def place(request, tmp_path_factory):
    """The command before a node, and a client of that node."""
    folder = tmp_path_factory.mktemp(request.param)
    start = real_node if request.param == "real" else embedded_node
    with start(folder) as running:
        client = AdminClient(running.url, KEY, timeout_s=30)
        flags = {"chatCompletions": True, "foreignKeys": True}
        client.request("PATCH", "/experimental-features", flags).ok()
        work = folder / "work"
        work.mkdir()
        yield CommandLine(work, {"MIROIR_URL": running.url, "MEILI_MASTER_KEY": KEY}), client


def _say(path: Path, index: str, wanted: dict[str, Any]) -> dict[str, str]:
    """Write a file with references; return what they stand for."""
    hidden = referenced(wanted, index)
    path.write_text(dump(quoted({"index": index, "ownership": "full", "settings": hidden})))
    names = (reference.removeprefix("env:") for _, reference in places(hidden))
    return dict(zip(names, (secret for _, secret in places(wanted)), strict=True))


@settings(
    max_examples=_ROUNDS,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_what_is_applied_is_pulled_and_makes_another_index_the_same(place, seed):
    """And applied twice it makes no task: what is written is what the comparison compares."""
    miroir, client = place
    number = next(_numbers)
    one, other = f"i{number}-one", f"i{number}-other"
    path, pulled = miroir.folder / f"{number}.yaml", miroir.folder / f"{number}-pulled.yaml"
    secrets = _say(path, one, _written(seed))
    applied = miroir("settings", "apply", path, "-y", **secrets)
    assert applied.status == 0, applied
    shown = client.get(f"/indexes/{one}/settings")

    assert miroir("settings", "pull", one, "--out", pulled, "--full").status == 0
    tasks = client.get("/tasks?limit=1")["total"]
    for file in (path, pulled):
        again = miroir("settings", "apply", file, "-y", **secrets)
        assert (again.status, "nothing to do" in again.out) == (0, True), again
    assert client.get("/tasks?limit=1")["total"] == tasks

    pulled.write_text(pulled.read_text().replace(one, other))
    copied = miroir("settings", "apply", pulled, "-y", **secrets)
    assert copied.status == 0, copied
    assert client.get(f"/indexes/{other}/settings") == shown

"""
Every method of the official JavaScript client, once, against a 3 x 2 cluster's public address.

The calls are in tests/clients/javascript/every_method.mjs. It needs Node.js and the locked client
(`npm ci` in that folder, which `.ci/run` does); without them the test is skipped, and says so.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from miroir.cli.layout import Shape

SHAPE = Shape(3, 2)
FOLDER = Path(__file__).parents[1] / "clients" / "javascript"


def test_every_method_works_or_is_refused(cluster):
    """A browser's or a server's JavaScript is what most applications search with."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("needs Node.js, and `npm ci` in tests/clients/javascript")
    key = cluster.local.layout.master_key.reveal()

    ran = subprocess.run(
        [node, "every_method.mjs", cluster.local.url, key],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"faults": [], "uncalled": []}

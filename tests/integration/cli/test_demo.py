"""The demo as a visitor runs it: it ends with 0 when its claims hold, and only then."""

import os
import subprocess
import sys

import pytest

DEADLINE_S = 150.0
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("MIROIR_")}


def demo(folder, *arguments, **environ):
    """Run `miroir demo` on embedded nodes to its end."""
    return subprocess.run(
        [sys.executable, "-m", "miroir", "demo", "--embedded", *arguments],
        cwd=folder,
        env={**CLEAN, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


@pytest.mark.slow
def test_every_claim_of_the_demo_holds(tmp_path):
    """The first thing that anybody runs, and the reason to believe the rest."""
    done = demo(tmp_path, "--shards", "1", "--replica-groups", "2", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 19 checks hold" in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout, "plain lines where there is no terminal"
    assert not list(tmp_path.glob("miroir-demo-*")), "nothing is left behind"


@pytest.mark.slow
def test_a_demo_whose_claims_do_not_hold_fails(tmp_path):
    """A demo that cannot fail proves nothing. Here Miroir takes no payload of this size."""
    shape = ("--shards", "1", "--replica-groups", "1")
    done = demo(tmp_path, *shape, MIROIR_LIMITS__PAYLOAD_BYTES_MAX="2048")
    assert done.returncode == 1
    assert "✗ the tour could go on: 413" in done.stdout
    assert "1 of 2 checks failed" in done.stdout

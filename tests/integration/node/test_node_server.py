"""The process: where it listens, what it says, how it stops."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.node.running import COMMAND, RunningNode


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_node_cleanly_even_with_open_connections(
    start: Callable[..., RunningNode], how: signal.Signals
):
    """`miroir dev` stops many nodes with Ctrl-C; none may linger or dump a trace."""
    node = start()
    assert node.ask("GET", "/health").status_code == 200
    node.process.send_signal(how)
    _, complaint = node.process.communicate(timeout=10)
    node.client.close()
    assert complaint == ""
    assert node.process.returncode == 0


def test_an_address_of_the_outside_needs_a_flag(tmp_path: Path):
    """The embedded node must not be taken for a production server by accident."""
    command = [sys.executable, "-c", COMMAND, "--port", "0", "--db-path", str(tmp_path)]
    refused = subprocess.run(
        [*command, "--host", "0.0.0.0"], capture_output=True, text=True, timeout=30, check=False
    )
    assert refused.returncode == 2
    assert "--allow-remote" in refused.stderr
    assert refused.stdout == ""


def test_every_answer_says_that_this_is_the_embedded_node(node: RunningNode):
    """The version cannot say it, since clients parse it."""
    for method, path in (
        ("GET", "/version"),
        ("GET", "/nope"),
        ("PUT", "/version"),
        ("GET", "/keys"),
    ):
        assert node.ask(method, path).headers["X-Miroir-Embedded-Node"] == "1"
    assert node.ask("GET", "/version").json()["pkgVersion"] == "1.50.0"


def test_a_second_node_on_a_taken_port_says_so(node: RunningNode, tmp_path: Path):
    """A clear error instead of a trace."""
    port = node.url.rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-c", COMMAND, "--port", port, "--db-path", str(tmp_path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "in use" in second.stderr

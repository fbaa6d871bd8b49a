"""The local cluster with embedded nodes: what dev, demo, tests and benchmarks stand on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from miroir.cli.cluster import LocalCluster
from miroir.cli.guard import launch, signal_group
from miroir.cli.layout import Engine, Shape, lay_out
from miroir.cli.process import Command, ProcessFault, ServerProcess, free_ports

DEADLINE_S = 30.0


@pytest.fixture
def cluster(tmp_path):
    """A 2 x 1 cluster of embedded nodes, nothing started."""
    cluster = LocalCluster(lay_out(tmp_path / "c", Shape(2, 1), Engine("embedded")))
    yield cluster
    cluster.stop()


def soon() -> float:
    return time.monotonic() + DEADLINE_S


def wait_until_gone(pid: int) -> None:
    """Return when no such process runs; a zombie that nobody reaps has ended too."""
    deadline_s = soon()
    while time.monotonic() < deadline_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} still runs")


def test_a_node_killed_and_started_again_has_its_data(cluster):
    """The demo and the acceptance tests kill nodes all the time."""
    cluster.start_nodes()
    client = cluster.client("n1")
    task = client.request("POST", "/indexes", {"uid": "kept"}).ok()
    assert client.wait_task(task["taskUid"], timeout_s=DEADLINE_S)["status"] == "succeeded"
    pid = cluster.nodes["n1"].pid
    cluster.nodes["n1"].kill()
    assert cluster.nodes["n1"].ended == "ended by SIGKILL"
    cluster.nodes["n1"].start()
    cluster.nodes["n1"].wait_healthy(soon())
    assert cluster.nodes["n1"].pid != pid
    assert client.get("/indexes/kept")["uid"] == "kept"
    assert cluster.engine_version >= "1.15"


def test_nodes_answer_only_to_the_shared_key(cluster):
    """Miroir uses one master key for all of them."""
    cluster.start_nodes()
    for name in cluster.nodes:
        assert cluster.client(name).request("GET", "/indexes").status == 200
        anonymous = type(cluster.client(name))(cluster.nodes[name].url)
        assert anonymous.request("GET", "/indexes").status == 401


def test_a_paused_node_holds_its_port_and_stops_when_asked(cluster):
    """A paused process ignores SIGTERM until it is woken; Ctrl-C must still end it in time."""
    cluster.start_nodes()
    node = cluster.nodes["n0"]
    node.pause()
    cluster.stop()
    assert not node.running
    assert node.ended == "ended by SIGTERM" or node.ended.startswith("ended with status")


def test_a_server_that_ends_early_is_reported_with_its_last_words(tmp_path):
    """ "Did not start" alone sends people to look for a log that they cannot find."""
    code = "import sys; sys.exit('no space left on this planet')"
    command = Command([sys.executable, "-c", code], dict(os.environ), tmp_path, tmp_path / "x.log")
    process = ServerProcess("x", free_ports(1)[0], command)
    process.start()
    with pytest.raises(ProcessFault, match="x ended with status 1") as caught:
        process.wait_healthy(soon())
    assert "no space left on this planet" in str(caught.value)


def test_a_program_that_does_not_exist_is_reported(tmp_path):
    """MIROIR_MEILISEARCH_BIN may vanish between two starts."""
    command = Command([str(tmp_path / "absent")], {}, tmp_path, tmp_path / "x.log")
    with pytest.raises(ProcessFault, match="x cannot be started"):
        ServerProcess("x", 1, command).start()


PARENT = """
import os, sys, time
from pathlib import Path
from miroir.cli.guard import launch
with open(os.devnull, "wb") as output:
    child = launch(
        [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
        environ=os.environ, folder=Path.cwd(), output=open(sys.argv[1], "wb"),
        by_kernel=sys.argv[2] == "kernel",
    )
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("way", ["kernel", "guard"])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_child_outlives_a_parent_killed_by_force(tmp_path, way):
    """Orphaned nodes hold ports and locks, and the next start fails for no visible reason."""
    output = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(output), way], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == b"started\n"
        deadline_s = soon()
        while not output.read_bytes().endswith(b"\n"):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        child = int(output.read_text())
        os.kill(child, 0)
        parent.kill()
    wait_until_gone(child)


def test_the_guard_passes_on_how_its_command_ended(tmp_path):
    """Behind the guard a crash must look like a crash."""
    with (tmp_path / "out").open("wb") as output:
        process = launch(
            [sys.executable, "-c", "raise SystemExit(7)"],
            environ=os.environ,
            folder=tmp_path,
            output=output,
            by_kernel=False,
        )
    assert process.wait(DEADLINE_S) == 7
    signal_group(process, signal.SIGTERM)  # too late is no error
    process.stdin.close()

"""Commands as a shell runs them: what they say and how they end."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from miroir import __version__
from miroir.cli.admin_client import AdminClient, NoAnswer, Refused

DEADLINE_S = 60.0
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("MIROIR_")}


def run(*arguments, folder, **environ):
    """Run `miroir` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "miroir", *arguments],
        cwd=folder,
        env={**CLEAN, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_version_is_told(tmp_path):
    """The first line of every bug report."""
    done = run("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"miroir {__version__}\n")


def test_help_names_every_command(tmp_path):
    """A command that does not load is missing here first."""
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    names = ("serve", "dev", "demo", "status", "settings", "drift", "doctor", "node", "secrets")
    for command in names:
        assert f" {command} " in done.stdout


def test_assertions_switched_off_are_refused(tmp_path):
    """They guard the data; a server without them would go on past a broken invariant."""
    done = subprocess.run(
        [sys.executable, "-O", "-m", "miroir", "--version"],
        cwd=tmp_path,
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "assertions are off" in done.stderr


def test_a_faulty_configuration_ends_with_2_and_its_faults(tmp_path):
    """A supervisor must not restart for ever what only an operator can mend."""
    (tmp_path / "miroir.yaml").write_text("listn: {}\n")
    done = run("serve", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "miroir: miroir.yaml cannot be used: 2 faults\n"
        "  miroir.yaml: topology: is missing; add it\n"
        "  miroir.yaml:1: listn: unknown key; did you mean `listen`?\n"
    )


def test_a_configuration_can_be_checked_without_starting(tmp_path):
    """Before a deployment."""
    (tmp_path / "m.yaml").write_text("topology: {nodes: ['http://127.0.0.1:1']}\n")
    done = run("serve", "--config", "m.yaml", "--check", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "m.yaml: fine\n")


def test_a_port_that_is_taken_ends_serve_with_2(tmp_path):
    """Not with a traceback, and not by serving elsewhere."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        text = f"listen: {{port: {port}}}\ntopology: {{nodes: ['http://127.0.0.1:1']}}\n"
        (tmp_path / "miroir.yaml").write_text(text)
        done = run("serve", folder=tmp_path)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_without_a_server_says_so(tmp_path):
    """The commonest answer in the middle of the night."""
    done = run("status", "--url", "http://127.0.0.1:1", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("miroir: http://127.0.0.1:1 does not answer: ")


@pytest.mark.parametrize("url", ["foo:bar", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused(tmp_path, url):
    """Before any request is sent."""
    done = run("status", "--url", url, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a URL; write it as http://host:port" in done.stderr


def test_a_demo_of_a_file_that_is_absent_starts_nothing(tmp_path):
    """The file is looked at before six processes are started."""
    done = run("demo", "--data", "absent.json", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "miroir: absent.json: no such file or directory\n"


@pytest.fixture
def dev(tmp_path):
    """Run `miroir dev` on one folder; give the process once it has told everything."""
    started = []

    def dev(*arguments):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "miroir",
                "dev",
                "--embedded",
                "--shards",
                "1",
                "--replica-groups",
                "2",
                "--data-dir",
                str(tmp_path / "d"),
                *arguments,
            ],
            cwd=tmp_path,
            env=CLEAN,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        told = []
        for line in process.stdout:
            told.append(line)
            if line.startswith("stop it"):
                return process, "".join(told)
        pytest.fail(f"dev ended: {''.join(told)}")

    yield dev
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def url_and_key(told):
    """Read the address and the master key as a person would."""
    words = told.split()
    return words[words.index("miroir", 1) + 1], words[words.index("master") + 2]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_dev_serves_until_asked_to_stop_and_leaves_nothing_running(dev, number, tmp_path):
    """Ctrl-C must free every port within seconds."""
    port = free_port()
    process, told = dev("--port", str(port))
    url, key = url_and_key(told)
    assert url == f"http://127.0.0.1:{port}"
    assert AdminClient(url, key).get("/health") == {"status": "available"}
    with pytest.raises(Refused, match=r"^403"):
        AdminClient(url, "another").get("/indexes")
    key_file = tmp_path / "d" / "admin.key"
    done = run(
        "status", "--url", url, folder=tmp_path, MIROIR_ADMIN_KEY=key_file.read_text().strip()
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no index yet" in done.stdout
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == 0
    assert process.stdout.read().endswith(f"stopped; the data stays in {tmp_path / 'd'}\n")
    for place in range(3):
        with pytest.raises(NoAnswer):
            AdminClient(f"http://127.0.0.1:{port + place}").get("/health")


@pytest.mark.slow
def test_dev_started_again_has_the_same_data_and_addresses(dev):
    """A developer goes home in between."""
    process, told = dev("--port", str(free_port()))
    url, key = url_and_key(told)
    client = AdminClient(url, key)
    task = client.request("POST", "/indexes", {"uid": "kept"}).ok()
    assert client.wait_task(task["taskUid"], timeout_s=DEADLINE_S)["status"] == "succeeded"
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    _, told_again = dev()
    assert told_again.count("http://127.0.0.1") == told.count("http://127.0.0.1"), told_again
    assert url_and_key(told_again) == (url, key)
    assert client.get("/indexes/kept")["uid"] == "kept"


@pytest.mark.slow
def test_dev_ends_when_miroir_does_and_says_why(dev, tmp_path):
    """A cluster without its front would look alive."""
    process, told = dev("--port", str(free_port()))
    assert url_and_key(told)
    os.kill(child_of(process.pid, "serve"), signal.SIGKILL)
    assert process.wait(DEADLINE_S) == 1
    assert "miroir ended by SIGKILL" in process.stdout.read()


def free_port() -> int:
    """
    Return the first of three ports in a row that are free, and stay so.

    Below those that the kernel gives to outgoing connections: one of them, opened by any process
    between two starts of a cluster, would hold a port that the second start must find free.
    """
    first = 20_000 + os.getpid() * 7 % 12_000
    for port in (*range(first, 32_000, 3), *range(20_000, first, 3)):
        if all(is_free(port + place) for place in range(3)):
            return port
    pytest.fail("no three ports in a row are free")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def child_of(parent: int, word: str) -> int:
    """Return the child process with this word in its command line."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        with open(f"/proc/{parent}/task/{parent}/children") as file:  # noqa: PTH123
            for pid in map(int, file.read().split()):
                with open(f"/proc/{pid}/cmdline") as line:  # noqa: PTH123
                    if word in line.read().split("\0"):
                        return pid
    pytest.fail(f"no child with {word}")

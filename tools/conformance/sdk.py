"""
The test-suite of `meilisearch-python-sdk` against an embedded node or a cluster.

Its source distribution carries the tests. `sdk.lock` names the version and the hashes of it and of
everything it needs; they are fetched into a folder below `build/` at the first run and kept there.
The suite knows one address; our copy has the server's in its place, and nothing else is changed.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.conformance.cases import Outcome
from tools.conformance.servers import Start, running

HERE: Final = Path(__file__).parent
NAME: Final = "meilisearch-python-sdk"
MASTER_KEY: Final = "masterKey"
_ADDRESS: Final = "127.0.0.1:7700"
_LOCK: Final = HERE / "sdk.lock"


def outcomes(start: Start, *, short: bool) -> list[Outcome] | None:
    """Run the suite; None when it cannot be fetched. `short` leaves the async client out."""
    home = HERE.parents[1] / "build" / "conformance" / f"sdk-{_version()}"
    if not _ready(home):
        return None
    with running(start, MASTER_KEY) as url, tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "suite"
        shutil.copytree(home / "suite", suite)
        for file in (suite / "tests").glob("*.py"):
            file.write_text(file.read_text().replace(_ADDRESS, url.removeprefix("http://")))
        report = Path(folder) / "report.xml"
        command = [str(_python(home)), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-o", "addopts=", "--tb=line", f"--junit-xml={report}", "tests"]
        if short:
            command += [f"--ignore-glob=tests/{name}" for name in ("test_async_*", "test_errors*")]
        environment = {**os.environ, "PYTHONPATH": str(suite)}
        subprocess.run(command, cwd=suite, env=environment, check=False)
        return list(_read(report))


def _ready(home: Path) -> bool:
    """Fetch what is not there yet; of several that run at once one does."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return (home / "ready").exists() or _fetched(home)


def _version() -> str:
    found = re.search(rf"^{NAME}==([^ ]+)", _LOCK.read_text(), re.MULTILINE)
    assert found is not None, "the lock names the SDK"
    return found[1]


def _python(home: Path) -> Path:
    return home / "venv" / "bin" / "python"


def _fetched(home: Path) -> bool:
    """Fetch suite and dependencies by the lock; False when the package index is out of reach."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    venv.create(home / "venv", with_pip=True)
    pip = [str(_python(home)), "-m", "pip", "--disable-pip-version-check", "-q"]
    locked = ["--require-hashes", "-r", str(_LOCK)]
    source = ["--no-deps", "--no-build-isolation", "--no-binary", NAME, "-d", str(home)]
    only = home / "source.lock"
    only.write_text(_entry(_LOCK.read_text()))
    steps = (
        [*pip, "install", *locked],
        [*pip, "download", *source, "--require-hashes", "-r", str(only)],
    )
    if any(subprocess.run(step, check=False).returncode for step in steps):
        return False
    archive = next(home.glob("*.tar.gz"))
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="data")
    folder = home / archive.name.removesuffix(".tar.gz")
    folder.rename(home / "suite")
    shutil.rmtree(home / "suite" / "meilisearch_python_sdk")  # the installed one is tested
    (home / "ready").touch()
    return True


def _entry(lock: str) -> str:
    """Return the SDK's own part of the lock."""
    lines = lock.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(f"{NAME}=="))
    last = next(at for at in range(first, len(lines)) if not lines[at].endswith("\\"))
    return "\n".join(lines[first : last + 1]) + "\n"


def _read(report: Path) -> Iterator[Outcome]:
    if not report.exists():
        print("the suite wrote no report", file=sys.stderr)
        return
    for case in ET.parse(report).getroot().iter("testcase"):
        faults = [*case.findall("failure"), *case.findall("error")]
        if case.find("skipped") is not None:
            continue
        file = (case.get("classname") or "").removeprefix("tests.")
        fault = (faults[0].get("message") or "failed") if faults else None
        yield Outcome("sdk", f"{file}::{case.get('name')}", fault and fault.splitlines()[0])

"""
The built wheel, installed where the source tree is not: what users get is what must work.

The dependencies are those of the environment that runs the tests, by PYTHONPATH: there `.pth`
files do nothing, so that an editable install of the tree cannot help the wheel out.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

import pytest

from miroir import __version__
from miroir.cli.process import free_ports
from tests.support.live_cluster import PATIENCE_S

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NOT_SOURCE = shutil.ignore_patterns(".*", "__pycache__", "dist", "build", "*.ms")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as `make wheel` builds it from a copy of the tree, by way of the sdist."""
    tree = tmp_path_factory.mktemp("tree") / "miroir"
    shutil.copytree(ROOT, tree, ignore=NOT_SOURCE)
    # The environment is there already, and not to be set up anew for the copy.
    command = ["make", "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", "wheel"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (tree / "dist").glob("*.whl")
    kept = tmp_path_factory.mktemp("dist") / built.name
    shutil.copy(built, kept)
    shutil.rmtree(tree)
    return kept


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh virtual environment with the wheel in it; its `bin` folder."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True)
    return folder / "bin"


def environ():
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIROIR_", "PYTHON"))}
    return {**kept, "PYTHONPATH": sysconfig.get_paths()["purelib"]}


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, env=environ(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_installed_command_tells_its_version(installed, tmp_path):
    """The first thing that anybody tries."""
    assert run([installed / "miroir", "--version"], tmp_path).strip() == f"miroir {__version__}"


def test_everything_comes_from_the_wheel_and_is_in_it(installed, tmp_path):
    """Data files and subpackages are what wheels forget."""
    code = (
        "import json, miroir, pkgutil, importlib\n"
        "from importlib.resources import files\n"
        "names = [m.name for m in pkgutil.walk_packages(miroir.__path__, 'miroir.')\n"
        "         if not m.name.endswith('__main__')]\n"
        "modules = [importlib.import_module(name) for name in names]\n"
        "airports = json.loads(files('miroir').joinpath('data', 'airports.json').read_text())\n"
        "print(json.dumps([len(airports), len(names), [m.__file__ for m in modules]]))\n"
    )
    airports, count, where = json.loads(run([installed / "python", "-c", code], tmp_path))
    assert airports > 3000
    sources = [p for p in (ROOT / "src" / "miroir").rglob("*.py") if p.name != "__main__.py"]
    assert count == len(sources) - 1, "every module but the package itself"
    assert all(path.startswith(str(installed.parent)) for path in where)


def test_an_installed_cluster_starts_and_stops(installed, tmp_path):
    """Processes are started by module name: that must find the installed ones."""
    (port,) = free_ports(1)
    command = [installed / "miroir", "dev", "--embedded", "--shards", "1", "--replica-groups", "1"]
    output = (tmp_path / "out").open("wb")
    process = subprocess.Popen(
        [*command, "--port", str(port)], cwd=tmp_path, env=environ(), stdout=output, stderr=output
    )
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while b"up in" not in (tmp_path / "out").read_bytes():
            assert process.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < deadline_s, (tmp_path / "out").read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        output.close()
    assert b"stopped" in (tmp_path / "out").read_bytes()

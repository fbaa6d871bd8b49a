"""The workflow of docs/operating/settings-as-code.md, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from miroir.cli.layout import Shape

SHAPE = Shape(2, 2)
PAGE = Path(__file__).parents[2] / "docs" / "operating" / "settings-as-code.md"
SKIPPED = {"install"}  # It is what is tested.


def workflow():
    text = re.search(r"```yaml\n(# \.github/workflows/.*?)```", PAGE.read_text(), re.DOTALL)[1]
    return YAML(typ="safe").load(text)


class Runner:
    """Runs the steps of a job as GitHub's runner does: `bash -e`, until one fails."""

    def __init__(self, folder, environ):
        self.folder = folder
        self.environ = environ
        self.summary = folder / "summary.md"

    def job(self, name):
        said = ""
        for step in workflow()["jobs"][name]["steps"]:
            if "run" not in step or step.get("name") in SKIPPED:
                continue
            ran = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=self.folder,
                env={**self.environ, "GITHUB_STEP_SUMMARY": str(self.summary)},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
            said += ran.stdout + ran.stderr
            if ran.returncode:
                return step["name"], said
        return None, said


@pytest.fixture
def runner(cluster, tmp_path):
    names = workflow()["env"]
    assert set(names) == {"MIROIR_URL", "MIROIR_KEY", "MIROIR_BY"}
    values = (cluster.local.url, cluster.local.layout.admin_key.reveal(), "octocat")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**dict(zip(names, values, strict=True)), "PATH": path, "GITHUB_SHA": "abc123"}
    return Runner(tmp_path, environ)


def write(folder, name, text):
    path = folder / "settings" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pull_request_is_planned_and_what_is_merged_is_applied(cluster, uid, runner):
    """From the first file to the version that names who merged what."""
    cluster.create(uid, [{"id": 1, "title": "Carol"}])
    write(runner.folder, "m.yaml", f"index: {uid}\nsettings:\n  stopWords: [the]\n")
    over = f"index: {uid}\nsettings:\n  pagination: {{maxTotalHits: 50}}\n"
    write(runner.folder, "overlays/prod/m.yaml", over)

    failed, said = runner.job("plan")
    assert failed is None, said
    assert "2 keys of 1 index to change" in runner.summary.read_text()
    assert cluster.client.get(f"/indexes/{uid}/settings")["stopWords"] == []

    failed, said = runner.job("apply")
    assert failed is None, said
    assert cluster.shown(uid, "stopWords") == cluster.everywhere(["the"])
    newest = cluster.look(uid)["history"][0]
    assert (newest["by"], newest["reason"]) == ("octocat", "abc123")


@pytest.mark.parametrize(
    ("text", "step"),
    [("  stopWords: 5\n", "check"), ("  stopWord: [a]\n", "check"), ("  x: [\n", "check")],
    ids=["type", "unknown key", "no YAML"],
)
def test_a_pull_request_with_a_fault_is_stopped(cluster, uid, runner, text, step):
    """By the step that is there for it."""
    write(runner.folder, "m.yaml", f"index: {uid}\nsettings:\n{text}")
    write(runner.folder, "overlays/prod/m.yaml", f"index: {uid}\nsettings: {{}}\n")
    assert runner.job("plan")[0] == step


def test_a_server_that_does_not_answer_fails_the_job(runner):
    """An error must not look like `there are changes`."""
    runner.environ["MIROIR_URL"] = "http://127.0.0.1:9"
    write(runner.folder, "m.yaml", "index: m\nsettings: {}\n")
    write(runner.folder, "overlays/prod/m.yaml", "index: m\nsettings: {}\n")
    assert runner.job("plan")[0] == "plan"
    assert runner.job("apply")[0] == "apply"

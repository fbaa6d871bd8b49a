"""The page about the command line says what the commands take."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from miroir.cli import app
from miroir.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_what_the_code_says():
    """An option that is not in the reference does not exist for its readers."""
    remedy = "run `python -m miroir.cli.reference > docs/reference/cli.md`"
    assert PAGE.read_text() == reference(), remedy


@pytest.mark.parametrize("width", [40, 200])
def test_the_page_depends_on_no_terminal_and_no_environment(monkeypatch, width):
    """It is made on many machines, by people with their own variables set."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("MIROIR_ADMIN_KEY", "not-for-the-page")
    assert reference() == PAGE.read_text()


@pytest.mark.parametrize("command", ["serve", "dev", "demo", "status", "node", "doctor"])
def test_the_page_names_what_help_names(command):
    """The page is read off the commands; this reads the help that people see."""
    help_text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    shown = {word for word in help_text.replace(",", " ").split() if word.startswith("--")}
    section = PAGE.read_text().split(f"## miroir {command}\n")[1].split("\n## ")[0]
    assert shown - {"--help"}
    assert [option for option in sorted(shown - {"--help"}) if option not in section] == []

"""docs/reference/exactness.md: each row is shown by a test, each refusal is told."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "exactness.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
REFUSALS = {"CannotMerge", "Incomparable"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:50])
def test_a_row_names_tests_that_exist(row):
    """A claim that nothing checks is worth as much as none."""
    _, what, becomes, shown_by, _ = row.split("|")
    named = re.findall(r"`([a-z_/0-9]+\.py)::(test_\w+)`", shown_by)
    assert what.strip()
    assert becomes.strip()
    assert len(named) == shown_by.count("::") > 0
    for path, test in named:
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(), f"no {test} in {path}"


def test_every_reason_for_a_refusal_is_told():
    """Whoever meets a 501 looks its words up here."""
    reasons = set(refusals())
    assert len(reasons) >= 9
    assert [reason for reason in sorted(reasons) if f'refused: "{reason}"' not in PAGE] == []


def test_no_reason_is_told_that_is_not_given():
    """A refusal that was lifted leaves the page."""
    assert set(re.findall(r'refused: "(.*?)" \|', PAGE)) == set(refusals())


def refusals() -> Iterator[str]:
    """Yield each reason in the code; values in it as `{expression}`."""
    for path in sorted((ROOT / "src" / "miroir").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[reason]) if name in REFUSALS:
                    yield from worded(reason, path)
                case ast.AnnAssign(target=ast.Name(id="_REFUSED"), value=ast.Dict(values=values)):
                    for value in values:
                        yield from worded(value, path)


def worded(reason: ast.expr, path: Path) -> Iterator[str]:
    match reason:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                for part in parts
            )
        case _:
            # A reason passed on: from an Incomparable, or from the table of refused parameters.
            assert ast.unparse(reason) in {"reason", "str(reason)"}, f"{path}:{reason.lineno}"

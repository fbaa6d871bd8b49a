"""
Checks of the tree itself: what ruff, mypy and import-linter do not see.

Run with `python tools/check_tree.py`; prints one line for each fault and exits with their number.
Every limit here is a ratchet: it may be lowered, never raised.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE, TESTS = Path("src/miroir"), Path("tests")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50


def faults() -> Iterator[str]:
    """Yield every fault of the tree."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        tree = ast.parse(text)
        if text and not ast.get_docstring(tree):
            yield f"{path}: no docstring says what this file is"
        yield from _too_long(f"{path}", len(text.splitlines()), FILE_LINES_MAX)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                yield from _too_long(
                    f"{path}:{node.lineno} {node.name}", count, FUNCTION_LINES_MAX
                )
    for path in sorted(SOURCE.glob("core/**/*.py")):
        if path.name != "__init__.py" and not list(TESTS.glob(f"unit/core/**/test_{path.name}")):
            yield f"{path}: no unit test at tests/unit/core/test_{path.name}"


def _too_long(what: str, count: int, count_max: int) -> Iterator[str]:
    if count > count_max:
        yield f"{what}: {count} lines, at most {count_max}"


if __name__ == "__main__":
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(min(len(found), 100))

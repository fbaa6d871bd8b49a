"""The pages about the HTTP side say what the code does."""

from pathlib import Path

import pytest

from miroir.api.reference import PAGES

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_page_is_what_the_code_says(page):
    """A route or error that is not in the reference does not exist for its readers."""
    remedy = f"run `python -m miroir.api.reference {page} > docs/reference/{page}.md`"
    assert (DOCS / f"{page}.md").read_text() == PAGES[page](), remedy

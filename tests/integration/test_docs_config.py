"""The reference pages say what the code does."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from miroir.config import load_config
from miroir.config.reference import reference as config_reference
from miroir.telemetry.reference import reference as metrics_reference

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("page", "reference", "module"),
    [
        ("config.md", config_reference, "miroir.config.reference"),
        ("metrics.md", metrics_reference, "miroir.telemetry.reference"),
    ],
)
def test_the_page_is_what_the_code_says(page, reference, module):
    """A reference that lags is worse than none: operators trust it."""
    remedy = f"run `python -m {module} > docs/reference/{page}`"
    assert (DOCS / page).read_text() == reference(), remedy


def test_the_example_of_the_page_can_be_used(tmp_path):
    """The example is what people copy."""
    example = (DOCS / "config.md").read_text().split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "miroir.yaml"
    path.write_text(example)
    config = load_config(path, {"MIROIR_MASTER_KEY": "k" * 16})
    assert len(config.topology.nodes) == len(YAML(typ="safe").load(example)["topology"]["nodes"])

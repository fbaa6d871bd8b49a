"""Vectors of clients are not thrown away because a setting was turned back."""

import pytest

from miroir.core.quantization import refusal, undoes_quantization
from miroir.core.topology import IndexUid

PLAIN = {"source": "userProvided", "dimensions": 3}
SIGNS = {**PLAIN, "binaryQuantized": True}


@pytest.mark.parametrize(
    ("base", "target", "named"),
    [
        ({"a": SIGNS}, {"a": PLAIN}, "a"),
        ({"a": SIGNS}, {"a": {**PLAIN, "binaryQuantized": False}}, "a"),
        ({"a": SIGNS, "b": PLAIN}, {"a": SIGNS, "b": SIGNS}, None),
        ({"a": SIGNS}, {}, None),
        ({"a": SIGNS}, {"a": None}, None),
        ({"a": SIGNS}, {"b": PLAIN}, None),
        ({}, {"a": SIGNS}, None),
    ],
)
def test_only_an_embedder_that_stays_can_be_turned_back(base, target, named) -> None:
    """Who removes an embedder has said so, and a new one begins without vectors."""
    assert undoes_quantization({"embedders": base}, {"embedders": target}) == named


def test_settings_without_embedders_undo_nothing() -> None:
    """Old engines show none, and a reset sets null."""
    assert undoes_quantization({}, {"embedders": {"a": PLAIN}}) is None
    assert undoes_quantization({"embedders": {"a": SIGNS}}, {"embedders": None}) is None


def test_the_error_is_the_engines() -> None:
    """A client that looks for the code of Meilisearch finds it."""
    error = refusal(IndexUid("movies"), "a")
    assert error["code"] == "invalid_settings_embedders"
    assert error["message"].startswith("Index `movies`: `.embedders.a.binaryQuantized`: Cannot")

"""Which document is this?"""

import pytest

from miroir.core.merge.identity import identity_of


@pytest.mark.parametrize(
    ("document", "key", "found"),
    [
        (b'"id":42', "id", "42"),
        (b'"id":"42"', "id", "42"),
        (b'"id":"A"', "id", "A"),
        (b'"at":{"id":"x-1"}', "at.id", "x-1"),
        (b'"at.id":7', "at.id", "7"),
        (b'"title":"x"', "id", None),
        (b'"at":[{"id":1}]', "at.id", None),
        (b'"id":true', "id", None),
        (b"", "id", None),
    ],
)
def test_a_document_is_known_by_its_key(document: bytes, key: str, found: str | None) -> None:
    """`42` and `"42"` are one document; case matters, unlike in values of facets."""
    assert identity_of(document, key) == found

"""The description of the admin API is made from the route table, and names all of it."""

import json
from pathlib import Path

from miroir.api.openapi import openapi
from miroir.api.openapi_shapes import SHAPES
from miroir.api.reference import offered
from miroir.api.router import Access

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def test_the_page_is_what_the_code_says():
    """Others make their clients from it."""
    remedy = "run `python -m miroir.api.openapi > docs/reference/openapi.json`"
    assert json.loads(PAGE.read_text()) == openapi(), remedy


def test_every_admin_route_is_described():
    """One that is missing does not exist for them."""
    wanted = {(r.method.lower(), r.pattern) for r in offered() if r.access is Access.ADMIN}
    paths = openapi()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == wanted
    assert len(wanted) > 15


def test_every_operation_has_a_name_of_its_own_and_a_sentence():
    """Generated clients have methods of these names."""
    operations = [o for methods in openapi()["paths"].values() for o in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert sorted(names) == sorted(set(names))
    assert all(len(operation["summary"]) > 10 for operation in operations)


def test_every_shape_that_is_named_is_there_and_used():
    """A reference into nothing breaks every generator."""
    text = json.dumps(openapi())
    for name in SHAPES:
        assert f'"#/components/schemas/{name}"' in text, name
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used == set(SHAPES)

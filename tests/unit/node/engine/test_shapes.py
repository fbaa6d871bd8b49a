"""Shapes of documents and the polygons of filters."""

from typing import Any

import pytest
from tests.unit.node.engine.world import index_of

SHAPES: list[Any] = [
    {"type": "Point", "coordinates": [1, 1]},
    {"type": "Polygon", "coordinates": [[[0, 0], [0, 4], [4, 4], [4, 0], [0, 0]]]},
    {"type": "LineString", "coordinates": [[10, 0], [10, 20]]},
    {"type": "Feature", "geometry": {"type": "Point", "coordinates": [30, 30]}},
]


@pytest.mark.parametrize(
    ("filter_", "ids"),
    [
        ("_geoPolygon([-1,-1],[-1,5],[5,5],[5,-1])", ["0", "1"]),
        ("_geoPolygon([1.5,1.5],[1.5,2],[2,2],[2,1.5])", ["1"]),
        ("_geoPolygon([5,5],[5,15],[8,15],[8,5])", ["2"]),
        ("_geoBoundingBox([31,31],[29,29])", ["3"]),
        ("_geoRadius(30,30,10)", ["3"]),
        ("_geoPolygon([50,50],[50,51],[51,51])", []),
    ],
)
def test_shapes_are_found_by_what_they_touch(filter_: str, ids: list[str]):
    """A delivery zone is found by a point in it, by crossing it, and by lying around it."""
    documents = [{"id": at, "_geojson": shape} for at, shape in enumerate(SHAPES)]
    index = index_of(documents, filterableAttributes=["_geojson"])
    assert index.match(filter_, code="x") == ids

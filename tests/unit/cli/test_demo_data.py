"""The demo compares Miroir with the data: what it takes for the truth must be true."""

import json

import pytest

from miroir.cli.demo_data import airports, story_of
from miroir.cli.faults import UsageFault

CSV = """\
sku,title,kind,price:number
a1,Red wooden chair,furniture,40
a2,Blue metal chair,furniture,55
a3,Wooden spoon,kitchen,3
"""


def test_the_airports_have_ids_coordinates_and_both_spellings():
    """The synonyms of the tour show nothing when nobody writes `Intl`."""
    story = airports()
    assert len(story.ids) == len(story.documents) == 3376
    assert all({"lat", "lng"} == set(document["_geo"]) for document in story.documents)
    names = [document["name"] for document in story.documents]
    assert sum("Intl" in name for name in names) > 10
    assert sum("International" in name for name in names) > 100
    assert story.matching == 205


def test_the_airports_are_sorted_as_the_engine_sorts():
    """`MC Clellan` after `Mackinac`: upper case counts for nothing."""
    titles = airports().first_titles
    assert titles.index("Mackinac Island") < titles.index("MC Clellan-Palomar Airport")


@pytest.mark.parametrize("kind", ["csv", "json", "ndjson"])
def test_any_file_gives_a_story(tmp_path, kind):
    """People believe what they see on their own data."""
    rows = [
        dict(zip(["sku", "title", "kind", "price"], line.split(","), strict=True))
        for line in CSV.splitlines()[1:]
    ]
    text = {"csv": CSV, "json": json.dumps(rows), "ndjson": "\n".join(map(json.dumps, rows))}[kind]
    path = tmp_path / f"my things.{kind}"
    path.write_text(text)
    story = story_of(path)
    assert story.index_uid == "my_things"
    assert (story.primary_key, story.title, story.facet) == ("sku", "title", "kind")
    assert (story.value, story.matching) == ("furniture", 2)
    assert story.ids == {"a1", "a2", "a3"}
    assert set(story.documents[0]) == {"sku", "title", "kind", "price"}
    (target,) = next(iter(story.synonyms.values()))
    assert any(target in document["title"].lower() for document in story.documents)


def test_an_attribute_called_id_is_the_primary_key_wherever_it_stands(tmp_path):
    """As Meilisearch infers it."""
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps(
            [{"code": "A", "name": "an apple", "id": 7}, {"code": "B", "name": "a pear", "id": 8}]
        )
    )
    assert story_of(path).primary_key == "id"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.xml", "<a/>", r"x.xml: unknown kind; use .json, .ndjson"),
        ("x.json", "{", r"x.json: not application/json: "),
        ("x.json", "[1]", r"every document must be an object"),
        ("x.json", "[]", r"no attribute identifies its documents"),
        ("x.json", '[{"a": "b c"}]', r"no attribute identifies its documents"),
        ("x.json", '[{"id": 1}, {"id": 2}]', r"needs at least two documents with text"),
        ("x.csv", "\xff", r"x.csv: not text/csv"),
    ],
)
def test_a_file_that_shows_nothing_is_refused_with_the_reason(tmp_path, name, content, said):
    """A demo that fails after a minute for a bad file shows the wrong thing."""
    path = tmp_path / name
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageFault, match=said):
        story_of(path)


def test_an_absent_file_is_refused(tmp_path):
    """The commonest slip."""
    with pytest.raises(UsageFault, match=r"absent.json: no such file or directory"):
        story_of(tmp_path / "absent.json")

"""What a search needs besides its merge."""

import uuid

from miroir.core.topology import IndexUid
from miroir.ports.records import IndexRecord
from miroir.services.cluster import IndexView
from miroir.services.searcher import _new_uid, settings_of


def known(settings: dict | None):
    """Return what merging is told of an index with these settings."""
    record = IndexRecord(
        uid=IndexUid("movies"),
        primary_key="id",
        version=0,
        settings=settings,
        fingerprints={},
        frozen_reason=None,
        deleted=False,
        created_at_ms=0,
        updated_at_ms=0,
    )
    return settings_of(IndexView(record))


def test_what_nobody_has_set_is_as_nodes_have_it():
    """An index without settings of its own shows everything, and sorts where nodes do."""
    for settings in (None, {}, {"displayedAttributes": None, "rankingRules": None}):
        found = known(settings)
        assert (found.displayed_attributes, found.ranking_rules) == (("*",), ("sort",))
    empty = known({"displayedAttributes": [], "rankingRules": []})
    assert (empty.displayed_attributes, empty.ranking_rules) == ((), ())


def test_an_answer_has_an_id_of_the_usual_form():
    """Clients and logs take it for a UUID, and no two answers share one."""
    made = [_new_uid() for _ in range(100)]
    read = [uuid.UUID(text) for text in made]
    assert [str(each) for each in read] == made
    assert {(each.version, each.variant) for each in read} == {(4, uuid.RFC_4122)}
    assert len(set(made)) == len(made)

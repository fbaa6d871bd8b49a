"""What a search needs besides its merge."""

import uuid

from miroir.services.searcher import _new_uid


def test_an_answer_has_an_id_of_the_usual_form():
    """Clients and logs take it for a UUID, and no two answers share one."""
    made = [_new_uid() for _ in range(100)]
    read = [uuid.UUID(text) for text in made]
    assert [str(each) for each in read] == made
    assert {(each.version, each.variant) for each in read} == {(4, uuid.RFC_4122)}
    assert len(set(made)) == len(made)

"""How much is in work at once."""

import pytest

from miroir.api.admission import Admission, Guest
from miroir.errors import Overloaded


def test_what_is_counted_in_is_counted_out_once():
    """A count that drifts refuses everybody after a week."""
    admission = Admission(requests_max=2, bytes_max=100)
    guests = [Guest(admission) for _ in range(2)]
    for guest in guests:
        guest.hold(40)
        guest.enter(search=True)
    assert (admission.requests, admission.bytes) == (2, 80)
    for guest in guests:
        guest.leave()
        guest.leave()
    assert (admission.requests, admission.bytes) == (0, 0)


@pytest.mark.parametrize(("search", "code"), [(True, "too_many_search_requests"),
                                              (False, "miroir_overloaded")])  # fmt: skip
def test_one_more_than_may_be_is_refused_and_not_counted(search, code):
    """Searches by the code that a node has for it."""
    admission = Admission(requests_max=1, bytes_max=100)
    Guest(admission).enter(search=False)
    late = Guest(admission)
    for attempt in (admission.check, late.enter):
        with pytest.raises(Overloaded) as refused:
            attempt(search=search)
        assert refused.value.body()["code"] == code
    late.leave()
    assert admission.requests == 1


def test_bytes_are_bounded_over_all_bodies():
    """Each is small enough by itself."""
    admission = Admission(requests_max=9, bytes_max=100)
    first, second = Guest(admission), Guest(admission)
    first.hold(60)
    second.hold(40)
    with pytest.raises(Overloaded):
        second.hold(1)
    first.leave()
    second.hold(60)
    assert admission.bytes == 100

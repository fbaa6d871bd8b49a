"""Swaps of indexes: who has whose content afterwards, and Meilisearch's words against it."""

from miroir.core import swaps as rules
from miroir.core.swaps import Swap

PAIRS = (Swap("a", "b"), Swap("c", "d", rename=True))


def test_a_swap_exchanges_and_a_rename_moves():
    """Settings, versions and marks follow this map; a wrong entry serves another's documents."""
    assert rules.sources(PAIRS) == {"a": "b", "b": "a", "d": "c", "c": None}
    assert rules.uids_of(PAIRS) == ("a", "b", "c", "d")


def test_what_undoes_a_pair_leads_back():
    """An abort sends it; forth and back must be nothing."""
    back = tuple(swap.back for swap in PAIRS)

    assert rules.sources(back) == {"a": "b", "b": "a", "c": "d", "d": None}


def test_the_history_of_tasks_follows_its_index():
    """On a node, tasks of an index are found under the name that it has now."""
    assert rules.new_names(PAIRS) == {"a": "b", "b": "a", "c": "d", "d": "c"}
    earlier = {"swaps": [{"indexes": ["a", "x"], "rename": False}]}
    assert rules.renamed_in(earlier, {"a": "b", "b": "a"}) == {
        "swaps": [{"indexes": ["b", "x"], "rename": False}]
    }


def test_a_uid_may_occur_once_in_a_request():
    """Nobody could say what a chain of swaps of one index means."""
    again = (Swap("b", "a"), Swap("a", "b"))
    assert rules.named_twice(PAIRS) is None
    assert rules.named_twice((Swap("a", "a"),)) == (
        "Indexes must be declared only once during a swap. `a` was specified several times."
    )
    assert rules.named_twice(again) == (
        "Indexes must be declared only once during a swap. `a`, `b` were specified several times."
    )


def test_unknown_indexes_and_taken_names_fail_as_on_a_node():
    """The words are those of the real 1.50."""
    known = {"a", "b", "c", "z"}.__contains__

    def said(*pairs):
        error = rules.fault(pairs, known)
        return error and (error["code"], error["message"])

    assert said(Swap("a", "b"), Swap("c", "new", rename=True)) is None
    assert said(Swap("a", "x")) == ("index_not_found", "Index `x` not found.")
    assert said(Swap("n2", "n1"), Swap("n0", "a"), Swap("b", "c", rename=True)) == (
        "index_not_found",
        "Indexes `n0`, `n1`, `n2` not found.",
    )
    assert said(Swap("a", "c", rename=True)) == (
        "index_already_exists",
        "Cannot rename `a` to `c` as the index already exists. Hint: You can remove `c` first and "
        "then do your remove.",
    )
    assert said(Swap("a", "z", rename=True), Swap("b", "c", rename=True)) == (
        "index_already_exists",
        "The following indexes are being renamed but cannot because their new name conflicts with "
        "an already existing index: `z`, `c`. Renaming doesn't overwrite the other index name.",
    )

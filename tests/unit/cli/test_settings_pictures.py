"""What people read before they say yes, letter by letter, at the width of a small terminal."""

import io

import pytest
from rich.console import Console

from miroir.cli.drift_picture import drift_picture, rule_picture
from miroir.cli.settings.applying import outcome_picture
from miroir.cli.settings.diff import compared
from miroir.cli.settings.documents import AppliedForm, DriftDocument, DriftForm, DriftRuleForm
from miroir.cli.settings.files import FileFault
from miroir.cli.settings.picture import differences_picture, plan_picture
from miroir.cli.settings.planning import Planned, UnsoundFiles, said
from miroir.cli.settings.status import _picture as status_picture
from miroir.cli.settings.target import Live, NodeProgress, Progress, Running
from miroir.core import settings as rules
from miroir.core.estimate import Estimate
from miroir.core.settings_document import Declared, Fault, Ownership
from miroir.core.settings_plan import plan

PLANTED = "PLANTED-secret"
LIVE = {
    **rules.defaults(),
    "searchableAttributes": ["title", "overview"],
    "stopWords": ["no", "the"],
    "synonyms": {"film": ["movie"]},
    "embedders": {"small": {"source": "rest", "url": "http://e", "apiKey": "PLXXXX...",
                            "headers": {"X-Api-Key": PLANTED}}},
}  # fmt: skip
WANTED = {
    "searchableAttributes": ["overview", "title", "cast"],
    "stopWords": ["the", *(f"word{i}" for i in range(20))],
    "typoTolerance": {"minWordSizeForTypos": {"oneTypo": 4}},
    "embedders": {"small": {"source": "rest", "url": "http://other/[v2]", "apiKey": "env:KEY",
                            "headers": {"X-Api-Key": PLANTED}}},
}  # fmt: skip


def drawn(picture, width=80):
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(picture)
    return out.getvalue()


def planned(settings, live=LIVE, *, guess=None, ownership=Ownership.PARTIAL, **state):
    declared = Declared("movies", settings, ownership, source="movies.yaml")
    made = plan(declared, live, ("1.50.0",), lambda _reference: None)
    now = Live("movies", live, **{"version": 12, "documents": 31944, **state})
    return Planned(declared, now, made, guess, {})


def test_a_plan_says_what_changes_what_it_costs_and_how_it_is_switched():
    """All that an operator needs in the order in which it is needed."""
    guess = Estimate(8.0, 12.0, "2 past re-embed changes on this index (median 10 s)")
    each = planned(WANTED, guess=guess, form="waves: no answer mixes old and new settings")
    assert (
        drawn(plan_picture([each]))
        == """\
movies  v12 · 31,944 documents
  ~ searchableAttributes  re-tokenise  only the added fields are tokenised
      added    cast
      moved    title 1 → 2
  ~ stopWords             re-tokenise  all searchable text is tokenised again
      added    word0, word1, word2, word3, word4, word5, word6, word7, word8,
               word9, word10, word11 ... and 8 more (-o json shows all)
      removed  no
  + typoTolerance         instant      read at query time
      minWordSizeForTypos.oneTypo 5 → 4
  ~ embedders             re-embed     every document is embedded by small
      small.url http://e → http://other/[v2]
  takes      about 8.0 s to 12 s for re-embed of 31,944 documents; estimate from
             2 past re-embed changes on this index (median 10 s)
  switch     waves: no answer mixes old and new settings
  secrets    not set, so what is in force is kept: env:KEY
  left alone synonyms (not in the file)

4 keys of 1 index to change; dearest: re-embed
"""
    )


def test_what_goes_to_its_default_says_why():
    """Full ownership resets what nobody has written down: better read than found out."""
    live = {**rules.defaults(), "stopWords": ["a"], "synonyms": {"a": ["b"]}}
    each = planned({"synonyms": None}, live, ownership=Ownership.FULL, documents=0)
    assert (
        drawn(plan_picture([each]))
        == """\
movies  v12 · 0 documents
  - stopWords             re-tokenise  all searchable text is tokenised again
      reset    to its default (not in the file: full)
      removed  a
  - synonyms              instant      read at query time
      reset    to its default
      a        ["b"] → none
  takes      moments: there are no documents
  switch     one node: new settings are seen when its task has ended

2 keys of 1 index to change; dearest: re-tokenise
""".replace("      a        removed b\n", '      a        ["b"] → none\n')
    )


def test_nothing_to_do_is_one_line_but_a_change_under_way_is_told():
    """The settings in force are not those that will be."""
    each = planned({}, rules.defaults(), busy=("change 7 (ci) is proposing",))
    assert (
        drawn(plan_picture([each]))
        == """\
unchanged  movies
  moving     movies: change 7 (ci) is proposing
nothing to do: the settings in force are those of the files
"""
    )


def test_a_difference_shows_no_secret_and_no_costs():
    """Values in clear are what nodes show of headers."""
    after = {
        **LIVE,
        "embedders": {
            "small": {**LIVE["embedders"]["small"], "headers": {"X-Api-Key": "PLANTED-other"}}
        },
    }
    text = drawn(differences_picture("movies: 1 → 2", compared("movies", LIVE, after)))
    assert text == """\
movies: 1 → 2
  ~ embedders
      small.headers.X-Api-Key (secret) → (secret)

"""  # fmt: skip


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_is_wider_than_the_terminal(width):
    """A line that wraps by itself has lost its indent."""
    long = {f"a-very-long-name-of-an-embedder-{i}": {"source": "ollama"} for i in range(3)}
    each = planned({**WANTED, "embedders": long, "stopWords": ["w" * 200]})
    assert max(map(len, drawn(plan_picture([each]), width).splitlines())) <= width


def test_the_status_is_a_line_for_each_index_and_what_is_under_way():
    """Where things stand, after whatever has happened."""
    cell = {"version": 3, "state": "synced"}
    lives = [
        Live("books", {}, "ab12cd34ef", 3, 0, cells={"n0": cell, "n1": cell}),
        Live("movies", {}, "ffffffffff", 9, 31944, cells={"n0": cell, "n1": {"state": "down"}},
             unconfirmed={"until": "2026-11-23T12:00:00.000Z"}),
    ]  # fmt: skip
    nodes = (NodeProgress("n0", "sent", 47.0), NodeProgress("n1", "verified"))
    running = Running("movies", "change 7 by ci", Progress("running", "proposing", nodes))
    text = drawn(status_picture(lives, (running,)))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[:3] == [
        "INDEX     SETTINGS     DOCUMENTS  NODES  NOW",
        "books     v3 ab12cd34          0  2/2    at rest",
        "movies    v9 ffffffff     31,944  1/2    undoes itself at 2026-11-23 12:00:00",
    ]
    assert lines[-3] == "movies  change 7 by ci  proposing"
    assert lines[-2].startswith("  n0  at work")
    assert lines[-2].endswith("47 %")


def test_outcomes_name_the_command_that_comes_next():
    """To keep a change, to watch it, to go on after a failure."""

    class Here:
        url = "http://here:7700"

    outcomes = [
        AppliedForm(
            index="a",
            outcome="applied",
            version=4,
            seconds=12.3,
            confirm_until="2026-11-23T12:00:00.000Z",
        ),
        AppliedForm(index="b", outcome="failed", error="n1 [says] no"),
        AppliedForm(index="c", outcome="not started"),
    ]
    assert (
        drawn(outcome_picture(Here, outcomes))
        == """\
applied     a as version 4 in 12 s
            undoes itself at 2026-11-23 12:00:00 UTC unless:
            miroir settings confirm a --url http://here:7700
failed      b
            n1 [says] no
not started c
the first failure stops the rest; correct it, then plan again
"""
    )


def test_faults_of_files_name_place_and_line_and_the_command_that_shows_all():
    """The message of a failed job is all that one sees of it."""
    faults = tuple(
        FileFault("s/m.yaml", line, "m", Fault("settings.stopWords[2]", "expected a string", "t"))
        for line in range(1, 13)
    )
    assert said(faults[2]) == "s/m.yaml:3: settings.stopWords[2]: expected a string"
    message = str(UnsoundFiles(faults, "s"))
    assert message.count("expected a string") == 10
    assert message.endswith("... and 2 more\nsee everything with `miroir settings validate s`")


def test_a_node_that_does_not_follow_is_named_beside_its_index():
    """`3/4` and "at rest" left everybody to guess."""
    cells = {"n0": {"state": "synced"}, "n3": {"state": "down"}}
    text = drawn(status_picture([Live("movies", {}, "f", 9, 1, cells=cells)], ()))
    assert "1/2    n3 down; see: miroir doctor" in text


def test_drift_says_what_is_done_about_it_and_who_wanted_that():
    """Also what is only left alone: in half a year nobody remembers why."""
    row = DriftForm(
        index="movies",
        node="n1",
        state="drifted",
        faults=["synonyms", "stopWords"],
        mode="alert",
        breaker="open",
        action="alert",
        why=None,
        first_seen_at="2026-11-23T12:00:00.000Z",
        last_seen_at=None,
    )
    rule = DriftRuleForm(
        index="movies",
        mode="alert",
        mode_is="ordered",
        ignored_keys=["synonyms"],
        by="me",
        reason="kept by hand",
        at="2026-11-23T12:00:00.000Z",
    )
    left = row.model_copy(update={"state": "ignored", "action": "nothing", "breaker": "closed"})
    document = DriftDocument(
        results=[row, left], modes={}, rules=[rule], orders=[rule], unmanaged=[]
    )
    assert [line.rstrip() for line in drawn(drift_picture(document)).splitlines()] == [
        "movies on n1  drifted  synonyms, stopWords",
        "    since 2026-11-23 12:00:00 UTC; Miroir only reports it; repairs did not hold,",
        "    so there are no more until: miroir drift repair movies",
        "movies on n1  ignored  synonyms, stopWords",
        "    since 2026-11-23 12:00:00 UTC; left alone, as was ordered",
        "next: miroir drift explain INDEX, repair INDEX, or adopt INDEX",
        "",
        "INDEX   MODE   IGNORED   BY  SINCE (UTC)       WHY",
        "movies  alert  synonyms  me  2026-11-23 12:00  kept by hand",
    ]
    assert "back: miroir drift ignore movies --stop" in drawn(rule_picture(rule))


def test_a_key_that_does_not_open_numbers_is_named_as_the_reason():
    """Else a plan on a large index reads as if nobody could know what it costs."""
    text = drawn(plan_picture([planned({"stopWords": ["a"]}, documents=None)]))
    assert "does not open document numbers" in " ".join(text.split())
    assert "--api-key REF" in text

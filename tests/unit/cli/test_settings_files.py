"""Files of settings: words stay words, comments stay, and a fault has its line."""

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.durations import duration_of, seconds_of, words
from miroir.cli.settings.files import dump, load, parse, plain, quoted
from miroir.cli.settings.journal import Journal
from miroir.cli.settings.pull import _replace
from miroir.cli.settings.schemas import schemas
from miroir.cli.settings.target import Live, Order, Unfit
from miroir.core import settings as rules

SCHEMAS = Path(__file__).parents[3] / "docs" / "reference" / "schemas.json"
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_whatever_a_setting_holds_is_read_as_it_was_written(value):
    """Stop words in all languages, templates over many lines, words that look like numbers."""
    assert plain(parse(dump({"value": quoted(value)})))["value"] == value


@pytest.mark.parametrize(
    "word", ["no", "on", "off", "yes", "y", "~", "null", "1.5", "0o7", "1:30"]
)
def test_words_that_older_readers_take_for_something_else_are_in_quotes(word):
    """Other tools read these files, too, and some speak YAML 1.1."""
    assert dump({"stopWords": quoted([word])}) == f'stopWords:\n  - "{word}"\n'
    assert plain(parse(f"stopWords: [{word}, 'x']"))["stopWords"][1] == "x"
    if word in {"no", "on", "off", "yes", "y"}:
        assert plain(parse(f"[{word}]")) == [word]


def test_comments_order_and_references_outlive_an_update():
    """Why a word is in the list is known to its author alone."""
    text = """\
stopWords:
  - the   # everywhere
  - old
  - a     # in titles
synonyms: {film: [movie]}   # from marketing
"""
    document = parse(text)
    _replace(document, "stopWords", ["the", "new", "a"])
    _replace(document, "synonyms", {"film": ["movie"], "tv": ["telly"]})
    written = dump(document)
    assert "- the   # everywhere\n  - new\n  - a     # in titles" in written
    assert "# from marketing" in written
    assert plain(document) == {
        "stopWords": ["the", "new", "a"],
        "synonyms": {"film": ["movie"], "tv": ["telly"]},
    }
    _replace(document, "stopWords", ["a", "the"])
    assert plain(document)["stopWords"] == ["a", "the"]


def test_a_reference_that_somebody_has_chosen_stays():
    """`pull` has names of its own for secrets."""
    document = parse("e: {apiKey: 'env:MINE'}")
    _replace(document, "e", {"apiKey": "env:MOVIES_E_API_KEY"})
    assert plain(document) == {"e": {"apiKey": "env:MINE"}}


def test_many_indexes_in_one_file_share_what_is_said_at_its_head(tmp_path):
    """One file for a small shop."""
    path = tmp_path / "all.yaml"
    path.write_text(
        "apiVersion: miroir/v1\nownership: full\nindexes:\n"
        "  movies: {settings: {stopWords: [a]}}\n"
        "  books: {ownership: partial, settings: {}}\n"
    )
    loaded = load(path)
    assert loaded.sound
    assert [(d.index, d.ownership.value) for d in loaded.declared] == [
        ("movies", "full"),
        ("books", "partial"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("index: m\nsettings:\n  stopWords:\n    - a\n    - true\n", 5, 'write `"true"`'),
        ("index: m\nsettings:\n  stopWord: [a]\n", 3, "did you mean"),
        ("index: m\nsettings:\n  stopWords: [a\n", 4, "but got"),
        ("index: m\nsettings:\n  stopWords: []\n  stopWords: []\n", 4, "duplicate key"),
        ("settings: {}\n", 0, "name of the index"),
    ],
)
def test_a_fault_names_its_line(tmp_path, text, line, says):
    """Reviews point at lines."""
    path = tmp_path / "m.yaml"
    path.write_text(text)
    (found,) = load(path).faults
    assert says in found.fault.says
    assert found.line == line


def test_two_files_for_one_index_are_a_fault(tmp_path):
    """The second would undo the first, at every run."""
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text("index: m\nsettings: {}\n")
    (found,) = load(tmp_path).faults
    assert found.fault.rule == "index-twice"


def test_nothing_to_read_is_said_with_the_command_that_writes_it(tmp_path):
    """The first thing that a new user does wrong."""
    with pytest.raises(UsageFault, match="settings pull --out"):
        load(tmp_path / "gone")
    with pytest.raises(UsageFault, match=r"no \.yaml"):
        load(tmp_path)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600),
                                              ("1h30m", 5400)])  # fmt: skip
def test_durations_are_read_as_people_write_them(text, seconds):
    """And nothing else is: `10 minutes` as 10 seconds would be a bad surprise."""
    assert duration_of(text, "--confirm") == seconds
    for wrong in ("", "0", "soon", "10 minutes", "-5m", "1.5h"):
        with pytest.raises(UsageFault, match="--confirm"):
            duration_of(wrong, "--confirm")


def test_durations_of_servers_are_read_and_told():
    """ISO 8601, as Meilisearch writes it."""
    assert [seconds_of(iso) for iso in ("PT0.5S", "PT1M2.5S", "P1DT1H", None, "x")] == [
        0.5, 62.5, 90000.0, None, None,
    ]  # fmt: skip
    assert [words(s) for s in (0.01, 8, 59.6, 600, 9000)] == [
        "0.1 s", "8.0 s", "60 s", "10 min", "2.5 h",
    ]  # fmt: skip


def test_a_journal_begins_with_what_was_there_and_holds_no_secret(tmp_path):
    """It is committed beside the files."""
    journal = Journal(tmp_path / "h.ndjson")
    secret = {"e": {"source": "rest", "apiKey": "PLANTED", "url": "http://u?key=PLANTED"}}
    before = {**rules.defaults(), "embedders": secret}
    order = Order("m", {}, {}, Live("m", before), by="me", reason="why")
    assert journal.note(order, {**before, "stopWords": ["a"]}) == 2
    assert [v.version for v in journal.versions("m")] == [2, 1]
    assert journal.version("m", 2).diff == {"stopWords": [[], ["a"]]}
    assert "PLANTED" not in (tmp_path / "h.ndjson").read_text()
    with (tmp_path / "h.ndjson").open("a") as file:
        file.write('{"index": "m", "vers')  # A crash in the middle of a line.
    assert [v.version for v in journal.versions("m")] == [2, 1]
    with pytest.raises(Unfit, match="settings history m"):
        journal.version("m", 9)


def test_a_journal_that_cannot_be_written_says_that_the_change_is_in_force(tmp_path):
    """It is too late to stop then."""
    order = Order("m", {}, {}, Live("m", rules.defaults()))
    with pytest.raises(CliFault, match="the change is in force"):
        Journal(tmp_path / "no" / "folder").note(order, rules.defaults())


def test_the_published_schemas_are_those_of_the_code():
    """Programs of others are checked against the file."""
    remedy = "run `python -m miroir.cli.settings.schemas > docs/reference/schemas.json`"
    assert json.loads(SCHEMAS.read_text()) == schemas(), remedy

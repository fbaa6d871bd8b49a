"""
Settings as code on one plain Meilisearch: as useful as without versions it can be.

Run on the embedded node, and on a real binary where there is one.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.command_line import CommandLine
from tests.support.node_process import BINARY, KEY, embedded_node, real_node

from miroir.cli.admin_client import AdminClient
from miroir.cli.settings.documents import KINDS
from miroir.cli.settings.plain import PlainTarget
from miroir.cli.settings.target import Moved, Order
from miroir.core import settings as rules

PLANTED = "PLANTED-secret-0123456789"
NODES = [
    "embedded",
    pytest.param("real", marks=[
        pytest.mark.meilisearch,
        pytest.mark.skipif(not BINARY, reason="MIROIR_MEILISEARCH_BIN is not set"),
    ]),
]  # fmt: skip
REST = {
    "source": "rest",
    "url": f"http://127.0.0.1:9/embed?key={PLANTED}",
    "apiKey": PLANTED,
    "dimensions": 3,
    "request": {"input": "{{text}}", "api_key": PLANTED, "extra": [{"auth": {"id": PLANTED}}]},
    "response": {"data": "{{embedding}}"},
    "headers": {"X-Api-Key": PLANTED, "X-Other": f"Bearer {PLANTED}", "Accept": "text/json"},
}
SECRETS = {
    "MOVIES_SMALL_API_KEY": PLANTED,
    "MOVIES_SMALL_URL": REST["url"],
    "MOVIES_SMALL_REQUEST_API_KEY": PLANTED,
    "MOVIES_SMALL_REQUEST_EXTRA_0_AUTH_ID": PLANTED,
    "MOVIES_SMALL_HEADERS_X_API_KEY": PLANTED,
    "MOVIES_SMALL_HEADERS_X_OTHER": f"Bearer {PLANTED}",
}
EVERYTHING = {
    "displayedAttributes": ["id", "title"],
    "searchableAttributes": ["title", "overview"],
    "filterableAttributes": ["year", {"attributePatterns": ["genre*"]}],
    "sortableAttributes": ["year", "title"],
    "rankingRules": ["words", "sort", "year:desc"],
    "stopWords": ["no", "on", "off", "y", "null", "1.5", "à", "The"],
    "nonSeparatorTokens": ["@", "#"],
    "separatorTokens": ["|", "&sep"],
    "dictionary": ["J. R. R.", "W. E. B."],
    "synonyms": {"no": ["non", "not"], "film": ["movie"], "été": ["summer"]},
    "distinctAttribute": "sku",
    "proximityPrecision": "byAttribute",
    "typoTolerance": {"disableOnWords": ["Apple Pie"], "minWordSizeForTypos": {"oneTypo": 4}},
    "faceting": {"maxValuesPerFacet": 7, "sortFacetValuesBy": {"genre": "count"}},
    "pagination": {"maxTotalHits": 77},
    "embedders": {"small": REST, "mine": {"source": "userProvided", "dimensions": 3}},
    "searchCutoffMs": 150,
    "localizedAttributes": [{"attributePatterns": ["title*"], "locales": ["fra", "en"]}],
    "facetSearch": False,
    "prefixSearch": "disabled",
    "chat": {"description": "a shop: films", "searchParameters": {"limit": 3}},
    "foreignKeys": [{"foreignIndexUid": "books", "fieldName": "book"}],
}


@pytest.fixture(scope="module", params=NODES)
def node(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    start = real_node if request.param == "real" else embedded_node
    with start(folder) as running:
        client = AdminClient(running.url, KEY)
        flags = {"chatCompletions": True, "foreignKeys": True}
        client.request("PATCH", "/experimental-features", flags).ok()
        yield running


@pytest.fixture
def client(node):
    client = AdminClient(node.url, KEY)
    yield client
    for index in client.get("/indexes?limit=100")["results"]:
        done(client, client.request("DELETE", f"/indexes/{index['uid']}"))


@pytest.fixture
def miroir(node, tmp_path):
    """The command, as after `export MIROIR_URL=...`; nothing that it says may hold a secret."""
    line = CommandLine(tmp_path, {"MIROIR_URL": node.url, "MEILI_MASTER_KEY": KEY})
    yield line
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "secret"]
    told = [*line.said, *(p.read_text() for p in files)]
    assert not [text for text in told if PLANTED in text or KEY in text]


def done(client, reply):
    task = client.wait_task(reply.ok()["taskUid"], timeout_s=30)
    assert task["status"] == "succeeded", task
    return task


def change(client, patch, uid="movies"):
    return done(client, client.request("PATCH", f"/indexes/{uid}/settings", patch))


def tasks(client):
    return client.get("/tasks?limit=1")["total"]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


# ---------------------------------------------------------------- pull, plan, apply


def test_pull_then_plan_is_empty_for_every_setting(client, miroir):
    """All of them at once, each with the values that are hardest to write down."""
    assert set(EVERYTHING) == set(rules.BY_KEY)
    change(client, EVERYTHING)
    for options in ((), ("--full",), ("--only-set", "--full")):
        assert miroir("settings", "pull", "--out", "s", *options).status == 0
        assert miroir("settings", "validate", "s", "--strict").status == 0
        plan = miroir("settings", "plan", "s", "--detailed-exitcode", "-o", "json")
        assert (plan.status, plan.document["changes"]) == (0, 0), plan
        (miroir.folder / "s" / "movies.yaml").unlink()


@pytest.mark.parametrize("key", list(EVERYTHING))
def test_each_setting_alone_is_pulled_and_brought_back(client, miroir, key):
    """A file made on one server makes another one the same; twice is once."""
    change(client, {key: EVERYTHING[key]})
    wanted = client.get("/indexes/movies/settings")
    miroir("settings", "pull", "movies", "-O", "all.yaml")
    change(client, {key: None})
    assert client.get("/indexes/movies/settings") != wanted
    planned = miroir("settings", "plan", "all.yaml", "--detailed-exitcode", **SECRETS)
    assert planned.status == 2, planned
    assert key in planned.out
    applied = miroir("settings", "apply", "all.yaml", "--yes", **SECRETS)
    assert applied.status == 0, applied
    assert client.get("/indexes/movies/settings") == wanted
    before = tasks(client)
    assert miroir("settings", "apply", "all.yaml", "--yes", **SECRETS).status == 0
    assert tasks(client) == before


def test_a_key_that_is_not_in_the_file_is_left_alone_and_named(client, miroir):
    """Partial ownership is the default: others may have a hand in an index, too."""
    change(client, {"synonyms": {"a": ["b"]}, "stopWords": ["x"]})
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: null\n")
    ran = miroir("settings", "apply", path, "--yes")
    assert "left alone synonyms (not in the file)" in ran.out
    shown = client.get("/indexes/movies/settings")
    assert (shown["synonyms"], shown["stopWords"]) == ({"a": ["b"]}, [])
    path.write_text("index: movies\nownership: full\nsettings: {}\n")
    assert miroir("settings", "apply", path, "--yes").status == 0
    assert client.get("/indexes/movies/settings")["synonyms"] == {}


def test_an_environment_is_laid_over_the_files(client, miroir):
    """One set of files, three clusters."""
    write(miroir.folder / "s/movies.yaml", "index: movies\nsettings:\n  stopWords: [a]\n"
          "  pagination: {maxTotalHits: 10}\n")  # fmt: skip
    over = "index: movies\nsettings:\n  pagination: {maxTotalHits: 99}\n"
    write(miroir.folder / "s/overlays/prod/movies.yaml", over)
    assert miroir("settings", "apply", "s", "--env", "prod", "--yes").status == 0
    shown = client.get("/indexes/movies/settings")
    assert (shown["pagination"], shown["stopWords"]) == ({"maxTotalHits": 99}, ["a"])
    ran = miroir("settings", "apply", "s", "--env", "staging", "--yes")
    assert (ran.status, "overlays/staging is no folder" in ran.err) == (2, True)


def test_a_saved_plan_is_refused_when_the_settings_have_moved(client, miroir):
    """What was approved is what is done, or nothing."""
    change(client, {"stopWords": ["x"]})
    write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  synonyms: {a: [b]}\n")
    assert miroir("settings", "plan", "m.yaml", "--out", "plan.json").status == 0
    change(client, {"stopWords": ["y"]})
    before = tasks(client)
    ran = miroir("settings", "apply", "plan.json", "--yes")
    assert (ran.status, "has moved since the plan was made" in ran.err) == (1, True)
    assert tasks(client) == before
    change(client, {"stopWords": ["x"]})
    assert miroir("settings", "apply", "plan.json", "--yes").status == 0
    assert client.get("/indexes/movies/settings")["synonyms"] == {"a": ["b"]}


def test_what_moves_between_the_plan_and_the_patch_is_not_overwritten(client, node):
    """There is no conditional write; what can be asked right before is asked."""
    change(client, {"stopWords": ["x"]})
    target = PlainTarget(client)
    base = target.live("movies")
    change(client, {"stopWords": ["y"]})
    before = tasks(client)
    with pytest.raises(Moved, match="have moved since they were planned upon"):
        target.submit(Order("movies", {"stopWords": ["z"]}, {}, base))
    assert tasks(client) == before


def test_what_reads_back_otherwise_is_a_failure(client, node):
    """A task that succeeded proves nothing: somebody else may have been faster behind it."""
    change(client, {"stopWords": ["x"]})
    target = PlainTarget(client)
    wanted = {"stopWords": ["x"], "pagination": {"maxTotalHits": 5}}
    order = Order("movies", {"stopWords": ["x"]}, wanted, target.live("movies"))
    ticket = target.submit(order)
    client.wait_task(ticket.task, timeout_s=30)
    seen = target.progress(ticket)
    assert (seen.state, "pagination" in seen.error) == ("failed", True)


def test_what_the_engine_refuses_is_told_in_its_words_and_stops_the_rest(client, miroir):
    """The second index is not started, and that is said."""
    write(miroir.folder / "s/a.yaml", "index: aa\nsettings:\n  newKeyOfMine: 1\n")
    write(miroir.folder / "s/b.yaml", "index: bb\nsettings:\n  stopWords: [a]\n")
    ran = miroir("settings", "apply", "s", "--yes", "-o", "json")
    assert ran.status == 1
    outcomes = {i["index"]: (i["outcome"], i["error"]) for i in ran.document["indexes"]}
    assert outcomes["aa"][0] == "failed"
    assert "newKeyOfMine" in outcomes["aa"][1]
    assert outcomes["bb"] == ("not started", None)


def test_a_task_that_fails_on_the_node_fails_the_command(client, miroir):
    """Accepted is not applied: some things are found only while it is done."""
    change(client, {"typoTolerance": {"minWordSizeForTypos": {"oneTypo": 2, "twoTypos": 3}}})
    text = "index: movies\nsettings:\n  typoTolerance: {minWordSizeForTypos: {oneTypo: 8}}\n"
    ran = miroir("settings", "apply", write(miroir.folder / "m.yaml", text), "--yes")
    assert ran.status == 1
    assert "`minWordSizeForTypos`" in ran.out


# ---------------------------------------------------------------- secrets


def test_a_changed_secret_is_sent_and_a_missing_one_keeps_what_is_there(client, miroir):
    """By reference: from a variable, or from a file."""
    change(client, {"embedders": {"small": REST}})
    miroir("settings", "pull", "-O", "m.yaml")
    mask = client.get("/indexes/movies/settings")["embedders"]["small"]["apiKey"]
    text = (miroir.folder / "m.yaml").read_text()
    (miroir.folder / "m.yaml").write_text(text.replace("env:MOVIES_SMALL_API_KEY", "file:secret"))
    assert miroir("settings", "plan", "m.yaml", "--detailed-exitcode").status == 0
    write(miroir.folder / "secret", "another-key-of-some-length")
    assert miroir("settings", "plan", "m.yaml", "--detailed-exitcode").status == 2
    others = {name: secret for name, secret in SECRETS.items() if "SMALL_API" not in name}
    assert miroir("settings", "apply", "m.yaml", "--yes", **others).status == 0
    shown = client.get("/indexes/movies/settings")["embedders"]["small"]
    assert shown["apiKey"] != mask
    assert shown["url"] == REST["url"]
    assert miroir("settings", "plan", "m.yaml", "--detailed-exitcode", **others).status == 0


def test_no_command_tells_a_secret_wherever_it_is_hidden(client, miroir):
    """In bodies, lists, headers, addresses; in JSON, files, and what the engine quotes."""
    change(client, {"embedders": {"small": {"source": "userProvided", "dimensions": 3}}})
    miroir("settings", "pull", "-O", "old.yaml")
    change(client, {"embedders": {"small": REST}})
    assert miroir("settings", "pull", "-O", "m.yaml").status == 0
    text = (miroir.folder / "m.yaml").read_text()
    assert [name for name in SECRETS if f"env:{name}" not in text] == []
    other = {name: secret.replace("PLANTED", "ANOTHER") for name, secret in SECRETS.items()}
    for shape in ("table", "json", "yaml"):
        for variables in (SECRETS, other, {}):
            miroir("settings", "plan", "m.yaml", "-o", shape, "--out", "p.json", **variables)
            miroir("settings", "diff", "m.yaml", "-o", shape, **variables)
            miroir("settings", "diff", "old.yaml", "-o", shape, **variables)
            miroir("settings", "validate", "m.yaml", "-o", shape)
    assert miroir("settings", "plan", "m.yaml", "--out", "p.json", **other).status == 0
    ran = miroir("settings", "apply", "p.json", "-y", "--history", "h", **other)
    assert ran.status == 0, ran
    assert client.get("/indexes/movies/settings")["embedders"]["small"]["request"] == {
        "input": "{{text}}",
        "api_key": other["MOVIES_SMALL_API_KEY"],
        "extra": [{"auth": {"id": other["MOVIES_SMALL_API_KEY"]}}],
    }
    for shape in ("table", "json", "yaml"):
        miroir("settings", "history", "movies", "--history", "h", "-o", shape)
        miroir("settings", "show", "movies", "1", "--history", "h", "-o", shape)
    assert not [text for text in miroir.said if "ANOTHER-secret" in text]
    assert "ANOTHER-secret" not in (miroir.folder / "h").read_text()


def test_a_rotated_secret_behind_the_same_mask_is_sent_when_asked(client, miroir):
    """Also by a saved plan, which holds none."""
    bare = {"headers": {}, "url": "http://127.0.0.1:9/", "request": {"input": "{{text}}"}}
    change(client, {"embedders": {"small": {**REST, **bare}}})
    miroir("settings", "pull", "-O", "m.yaml")
    rotated = {"MOVIES_SMALL_API_KEY": f"{PLANTED[:-1]}X"}
    plan = miroir("settings", "plan", "m.yaml", "--detailed-exitcode", **rotated)
    assert (plan.status, "--send-secrets sends them" in plan.out) == (0, True)
    out = ("--send-secrets", "--out", "p.json")
    assert miroir("settings", "plan", "m.yaml", *out, **rotated).status == 0
    before = tasks(client)
    assert miroir("settings", "apply", "p.json", "-y", **rotated).status == 0
    assert tasks(client) == before + 1
    assert not [text for text in miroir.said if rotated["MOVIES_SMALL_API_KEY"] in text]


def test_a_secret_that_would_be_lost_refuses_the_change_before_it_is_sent(client, miroir):
    """The headers are replaced as a whole; without the secret they would lose it."""
    change(client, {"embedders": {"small": REST}})
    miroir("settings", "pull", "-O", "m.yaml")
    path = miroir.folder / "m.yaml"
    path.write_text(path.read_text().replace("Accept: text/json", "Accept: text/plain"))
    before = tasks(client)
    ran = miroir("settings", "apply", "m.yaml", "--yes")
    assert ran.status == 2
    assert "needs `env:MOVIES_SMALL_HEADERS_X_API_KEY`" in ran.err
    assert tasks(client) == before


def test_a_key_as_an_argument_is_refused_without_being_repeated(miroir):
    """Arguments can be read by every user, and are in the history of the shell."""
    ran = miroir("settings", "status", "--key", PLANTED)
    assert ran.status == 2
    assert "env:NAME or file:PATH" in ran.err


# ---------------------------------------------------------------- asking, waiting, going back


def test_without_a_terminal_nothing_is_asked_and_nothing_done(client, miroir):
    """A job that hangs at a question hangs till morning."""
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: [a]\n")
    ran = miroir("settings", "apply", path)
    assert (ran.status, "say --yes" in ran.err) == (2, True)
    assert client.request("GET", "/indexes/movies").status == 404


@pytest.mark.parametrize(("answer", "applied"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_a_yes_is_needed(client, miroir, answer, applied):
    """Enter alone changes nothing."""
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: [a]\n")
    ran = miroir.on_terminal("settings", "apply", path, says={"apply this?": answer})
    assert ran.status == (0 if applied else 2), ran.out
    assert (client.request("GET", "/indexes/movies").status == 200) == applied


@pytest.mark.parametrize(
    ("says", "stays"), [("yes", True), ("no", False), ("^C", False)], ids=["yes", "no", "ctrl-c"]
)
def test_a_change_that_nobody_confirms_is_undone(client, miroir, says, stays):
    """Here only this command can do it, and it says so."""
    change(client, {"stopWords": ["x"], "typoTolerance": {"enabled": False}})
    text = "index: movies\nsettings:\n  stopWords: [a]\n  typoTolerance: null\n"
    path = write(miroir.folder / "m.yaml", text)
    before = client.get("/indexes/movies/settings")
    ran = miroir.on_terminal(
        "settings", "apply", path, "--yes", "--confirm", "60s", says={"keep this?": says}
    )
    assert "prevents the undo" in ran.out.replace("\r\n", " ")
    after = client.get("/indexes/movies/settings")
    assert after["stopWords"] == (["a"] if stays else ["x"])
    assert stays or after == before
    assert ran.status == (0 if stays else 1), ran.out


def test_an_unconfirmed_change_is_undone_when_the_time_is_over(client, miroir):
    """Somebody has locked himself out, or gone to lunch."""
    change(client, {"stopWords": ["x"]})
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: [a]\n")
    ran = miroir.on_terminal("settings", "apply", path, "-y", "--confirm", "1s", says={})
    assert ran.status == 1
    assert client.get("/indexes/movies/settings")["stopWords"] == ["x"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--confirm", "1m"), "and there is none"),
        (("--confirm", "1m", "--no-wait"), "killing it prevents that"),
        (("--canary", "golden.yaml"), "has no halves"),
        (("--confirm", "soon"), "no duration"),
        (("--key", "env:NOT_SET"), "nothing is there"),
    ],
)
def test_what_a_plain_node_cannot_do_is_refused_before_anything_is_sent(
    client, miroir, options, says
):
    """Each in a sentence that says what to do instead."""
    golden = "queries:\n  - search: {q: a}\n    expectedIds: ['1']\n"
    write(miroir.folder / "golden.yaml", golden)
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: [a]\n")
    ran = miroir("settings", "apply", path, "--yes", *options)
    assert ran.status in {1, 2}
    assert says in ran.err + ran.out
    assert client.request("GET", "/indexes/movies").status == 404


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("thaw", "movies"), "freezes nothing"),
        (("cancel", 1), "POST /tasks/cancel?uids="),
        (("confirm", "movies"), "asks in its own terminal"),
    ],
)
def test_what_only_miroir_has_is_refused_by_its_reason(miroir, words, says):
    """Not by a 404 of a route that nobody has heard of."""
    ran = miroir("settings", *words)
    assert (ran.status, says in " ".join(ran.err.split())) == (2, True), ran


def test_a_local_history_leads_back_to_the_beginning(client, miroir):
    """Also to what was there before the tool was."""
    change(client, {"stopWords": ["first"]})
    kept = ("--history", "h.ndjson")
    for word in ("second", "third"):
        text = f"index: movies\nsettings:\n  stopWords: [{word}]\n"
        path = write(miroir.folder / "m.yaml", text)
        assert miroir("settings", "apply", path, "-y", "-m", f"to {word}", *kept).status == 0
    listed = miroir("settings", "history", "movies", *kept, "-o", "json").document["versions"]
    assert [(v["version"], v["reason"]) for v in listed] == [
        (3, "to third"), (2, "to second"), (1, "as it was before"),
    ]  # fmt: skip
    assert miroir("settings", "diff", "movies@1", "movies@3", *kept).status == 1
    assert miroir("settings", "rollback", "movies", 1, "--yes", *kept).status == 0
    assert client.get("/indexes/movies/settings")["stopWords"] == ["first"]
    assert miroir("settings", "diff", "movies@1", *kept).status == 0
    again = miroir("settings", "rollback", "movies", 1, "--yes", *kept)
    assert "no task was sent" in again.out
    assert "--history FILE" in miroir("settings", "history", "movies").err


def test_edit_opens_the_editor_and_shows_the_plan(client, miroir):
    """And a file that cannot be used is not lost."""
    change(client, {"stopWords": ["x"]})
    editor = write(miroir.folder / "ed.sh", '#!/bin/sh\nsed -i "s/- x/- edited/" "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    ran = miroir("settings", "edit", "movies", "--yes", EDITOR=str(editor))
    assert ran.status == 0, ran
    assert client.get("/indexes/movies/settings")["stopWords"] == ["edited"]
    assert "nothing was changed" in miroir("settings", "edit", "movies", EDITOR="true").out
    editor.write_text('#!/bin/sh\nsed -i "s/stopWords:/stopWords: [/" "$1"\n')
    ran = miroir("settings", "edit", "movies", "--yes", EDITOR=str(editor))
    assert ran.status != 0
    kept = Path(ran.err.split("settings apply ")[1].split()[0])
    assert "edited" in kept.read_text()
    kept.unlink()
    assert "set EDITOR" in miroir("settings", "edit", "movies").err


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_apply_loses_nothing_and_the_next_one_knows(client, miroir, number):
    """The task goes on; the next command waits for it and has nothing left to do."""
    documents = [
        {"id": i, "title": f"a word or two {i}", "text": "lorem " * 40} for i in range(3000)
    ]
    done(client, client.request("POST", "/indexes/movies/documents", documents))
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings:\n  stopWords: [word]\n")
    known = client.get("/tasks?types=settingsUpdate&limit=1")["total"]
    process = miroir.start("settings", "apply", path, "--yes")
    deadline_s = time.monotonic() + 30
    while client.get("/tasks?types=settingsUpdate&limit=1")["total"] == known:
        assert time.monotonic() < deadline_s
    time.sleep(0.1)  # The answer to its PATCH is on its way; without it the next look tells, too.
    os.kill(process.pid, number)
    ended = miroir.ended(process)
    if number == signal.SIGINT and ended.status:  # It may have been done already.
        assert ended.status == 130
        assert "goes on without this command" in ended.out
    before = client.get("/tasks?types=settingsUpdate&limit=1")["total"]
    assert miroir("settings", "apply", path, "--yes").status == 0
    assert client.get("/indexes/movies/settings")["stopWords"] == ["word"]
    assert client.get("/tasks?types=settingsUpdate&limit=1")["total"] == before


# ---------------------------------------------------------------- answers


def test_exit_codes_of_diff_are_kubectls_and_those_of_plan_terraforms(client, miroir):
    """They disagree on what 1 and 2 mean; both are what their users expect."""
    change(client, {"stopWords": ["x"]})
    same = write(miroir.folder / "same.yaml", "index: movies\nsettings: {stopWords: [x]}\n")
    other = write(miroir.folder / "other.yaml", "index: movies\nsettings: {stopWords: [y]}\n")
    bad = write(miroir.folder / "bad.yaml", "index: movies\nsettings: {stopWords: 5}\n")
    gone = miroir.folder / "gone"
    paths = (same, other, bad, gone)
    assert [miroir("settings", "diff", path).status for path in paths] == [0, 1, 2, 2]
    detailed = [miroir("settings", "plan", p, "--detailed-exitcode").status for p in paths]
    assert detailed == [0, 2, 1, 1]
    assert [miroir("settings", "plan", path).status for path in paths] == [0, 0, 2, 2]
    assert [miroir("settings", "validate", path).status for path in paths] == [0, 0, 1, 2]
    nobody = {"MIROIR_URL": "http://127.0.0.1:9"}
    assert miroir("settings", "diff", same, **nobody).status == 2
    assert miroir("settings", "plan", same, "--detailed-exitcode", **nobody).status == 1


def test_every_document_fits_its_published_schema(client, miroir):
    """Others build upon them; and nothing but the document is on standard output."""
    change(client, {"stopWords": ["x"], "embedders": {"small": REST}})
    write(miroir.folder / "m.yaml", "index: movies\nsettings: {stopWords: [y], synonyms: null}\n")
    commands = [
        ("settings", "plan", "m.yaml"),
        ("settings", "validate", "m.yaml"),
        ("settings", "diff", "m.yaml"),
        ("settings", "apply", "m.yaml", "--yes", "--history", "h"),
        ("settings", "history", "movies", "--history", "h"),
        ("settings", "show", "movies", "2", "--history", "h"),
        ("settings", "status"),
        ("settings", "watch", "--once"),
        ("doctor",),
        ("node", "list"),
    ]
    models = {kind.model_fields["kind"].default: kind for kind in KINDS}
    for command in commands:
        text = miroir(*command, "-o", "json").out
        document = json.loads(text)
        assert document["apiVersion"] == "miroir/v1"
        models[document["kind"]].model_validate_json(text, strict=True)
    as_yaml = miroir("settings", "plan", "m.yaml", "-o", "yaml").out
    assert as_yaml.startswith("apiVersion: miroir/v1\nkind: SettingsPlan\n")


def test_two_servers_are_compared_key_by_key(client, miroir, node):
    """Straight on a node, or staging against production."""
    change(client, {"stopWords": ["x"]})
    ran = miroir("settings", "diff", "movies", "--against", node.url)
    assert (ran.status, "no difference" in ran.out) == (0, True)
    ran = miroir("settings", "diff", "movies", "--against", "http://127.0.0.1:9")
    assert ran.status == 2


def test_a_key_with_few_rights_is_enough_to_apply(client, miroir):
    """CI needs no master key; what the plan cannot know then, it says."""
    change(client, {"stopWords": ["x"]})
    actions = ["settings.get", "settings.update", "tasks.get", "indexes.get"]
    body = {"actions": actions, "indexes": ["*"], "expiresAt": None}
    narrow = client.request("POST", "/keys", body).ok()["key"]
    path = write(miroir.folder / "m.yaml", "index: movies\nsettings: {stopWords: [y]}\n")
    ran = miroir("settings", "apply", path, "-y", "--key", "env:NARROW", NARROW=narrow)
    assert ran.status == 0, ran
    assert "0 documents" not in ran.out
    doctor = miroir("doctor", "--key", "env:NARROW", NARROW=narrow)
    assert "the key lacks `stats.get`" in doctor.out
    assert narrow not in doctor.out + ran.out
    wrong = miroir("settings", "status", "--key", "env:NARROW", NARROW="not-a-key")
    assert (wrong.status, "does not take this key" in wrong.err) == (1, True)


def test_completion_knows_the_commands():
    """`miroir --install-completion` puts this into the shell."""
    asked = {"COMP_WORDS": "miroir settings pl", "COMP_CWORD": "2"}
    environ = {"PATH": os.environ["PATH"], "_MIROIR_COMPLETE": "complete_bash", **asked}
    script = Path(sys.executable).with_name("miroir")
    told = subprocess.run([script], env=environ, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["plan"]

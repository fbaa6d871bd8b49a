"""
Replayed cases: requests and expected answers, one JSON case per line, in a folder beside the tree.

The folder (`MIROIR_CONFORMANCE`, by default `../shared/conformance`) brings its own replayer,
`replay.py`, which is used as it is. A case that needs a server of its own gets a new node. Cases
of the ranking are in a form of their own: settings, documents and a query give ids.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx

from tools.conformance.servers import FreshServers, Start

MASTER_KEY: Final = "MASTER_KEY"
# Settings of the engine that have no name of their own in the API.
_TYPO_SETTINGS: Final = {
    "$authorizeTypos": "enabled",
    "$exactWords": "disableOnWords",
    "$exactAttributes": "disableOnAttributes",
}


@dataclass(frozen=True)
class Outcome:
    """What came of one case; `fault` is None when it passed."""

    kind: str
    name: str
    fault: str | None


def outcomes(
    folder: Path, start: Start, *, only: str = "", key: str | None = None, short: bool = False
) -> Iterator[Outcome]:
    """
    Replay every case of the folder whose name contains `only`.

    Args:
        folder: Holds the replayer and the cases.
        start: Starts a server.
        only: See above.
        key: Master key of servers for cases that need none; None: they run without one.
        short: Leave out cases that need a server of their own: starting one is most of the time.
    """
    replay = _replayer(folder)
    fresh = FreshServers(start)
    try:
        with fresh.one(key) as shared:
            for file in sorted((folder / "cases").glob("*.jsonl")):
                seen: dict[str, int] = {}
                for line in file.read_text().splitlines():
                    case = json.loads(line)
                    name = _name(file.stem, case, seen)
                    left_out = case.get("ignored") or (short and case.get("fresh"))
                    if only in name and not left_out:
                        fault = _fault(replay, fresh, (shared, key), case)
                        yield Outcome(_kind(file.stem), name, fault)
    finally:
        fresh.close()


def _kind(stem: str) -> str:
    kind, _, rest = stem.partition("__")
    return "multi-search" if kind == "search" and rest.startswith("multi") else kind


def _name(stem: str, case: dict[str, Any], seen: dict[str, int]) -> str:
    """Return a name of its own for each case: the second of a name is `name#2`."""
    count = seen[case["name"]] = seen.get(case["name"], 0) + 1
    return f"{stem}/{case['name']}" + (f"#{count}" if count > 1 else "")


def _replayer(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("conformance_replay", folder / "replay.py")
    assert spec is not None, "a path to a file has a spec"
    assert spec.loader is not None, "a path to a file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _fault(
    replay: ModuleType,
    fresh: FreshServers,
    shared: tuple[str, str | None],
    case: dict[str, Any],
) -> str | None:
    url, key = shared
    try:
        if "steps" not in case:
            return _ranking_fault(url, key, case)
        if case.get("auth"):
            key = MASTER_KEY
        if not case.get("fresh") and key == shared[1]:
            runner = replay.Runner(url, key, ".")
            runner.wipe()
            runner.run(case)
            return None
        with fresh.one(key) as url:
            replay.Runner(url, key, ".").run(case)
    except replay.Fail as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  a case that cannot be played is a case not passed
        return f"{type(error).__name__}: {error}"
    return None


def _ranking_fault(url: str, key: str | None, case: dict[str, Any]) -> str | None:
    rights = {} if key is None else {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, timeout=60, headers=rights) as client:
        uid = "ranking"
        _done(client, client.delete(f"/indexes/{uid}"), may_fail=True)
        primary, settings = _ranking_settings(case["settings"])
        _done(client, client.post("/indexes", json={"uid": uid, "primaryKey": primary}))
        _done(client, client.patch(f"/indexes/{uid}/settings", json=settings))
        _done(client, client.post(f"/indexes/{uid}/documents", json=case["documents"]))
        query = {name: value for name, value in case["search"].items() if name[0] != "$"}
        answer = client.post(f"/indexes/{uid}/search", json={"limit": 20, **query}).json()
        found = [hit[primary] for hit in answer.get("hits", [])]
        if found == case["ids"]:
            return None
        return f"want {case['ids']}\n  got  {found} {answer.get('message', '')}"


def _ranking_settings(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the primary key and the settings as the API names them."""
    settings = {name: value for name, value in given.items() if name[0] != "$"}
    typos = {api: given[name] for name, api in _TYPO_SETTINGS.items() if name in given}
    if typos:
        settings["typoTolerance"] = typos
    return given.get("$primaryKey", "id"), settings


def _done(client: httpx.Client, answer: httpx.Response, *, may_fail: bool = False) -> None:
    if answer.status_code != 202:
        raise RuntimeError(answer.text)
    uid = answer.json()["taskUid"]
    while (task := client.get(f"/tasks/{uid}").json())["status"] in ("enqueued", "processing"):
        pass
    if task["status"] != "succeeded" and not may_fail:
        raise RuntimeError(f"{task['type']}: {task['error']}")

"""
Records what a real Meilisearch answers, for `test_golden.py`.

    python tests/unit/node/engine/record_golden.py http://127.0.0.1:7700

The server must be empty and without a master key. Questions are in the golden files themselves:
each is rewritten in place with fresh answers.
"""

import json
import sys
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parent / "golden"


def finished(client: httpx.Client, answer: httpx.Response) -> None:
    """Wait until the task of an answer has succeeded."""
    uid = answer.json()["taskUid"]
    while (task := client.get(f"/tasks/{uid}").json())["status"] in ("enqueued", "processing"):
        pass
    assert task["status"] == "succeeded", task


def recorded(client: httpx.Client, name: str, scene: dict[str, Any]) -> dict[str, Any]:
    """Return the scene with the server's answers."""
    finished(client, client.post("/indexes", json={"uid": name, "primaryKey": "id"}))
    path = f"/indexes/{name}"
    finished(client, client.patch(f"{path}/settings", json=scene["settings"]))
    finished(client, client.post(f"{path}/documents", json=scene["documents"]))
    for question in scene["questions"]:
        answer = client.post(f"{path}/{question.get('route', 'search')}", json=question["body"])
        question["answer"] = {
            key: value
            for key, value in answer.json().items()
            if key not in ("processingTimeMs", "requestUid", "query", "facetQuery", "link")
        }
    return scene


def main() -> None:
    """Rewrite every golden file."""
    with httpx.Client(base_url=sys.argv[1], timeout=60) as client:
        for file in sorted(FOLDER.glob("*.json")):
            scene = recorded(client, file.stem, json.loads(file.read_text()))
            lines = [json.dumps(q, ensure_ascii=False) for q in scene.pop("questions")]
            head = json.dumps(scene, ensure_ascii=False)[:-1]
            file.write_text(f'{head}, "questions": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()

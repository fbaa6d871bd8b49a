"""
The JSON shapes of the admin side, as OpenAPI 3.1 (JSON Schema) writes them.

Kept beside `admin_views.py`, which makes them: a test compares what a running Miroir answers with
what is written here. Every object is closed: a field that is not here is not part of the API.
"""

from typing import Any, Final

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
NUMBER: Final[Shape] = {"type": "integer", "minimum": 0}
FLAG: Final[Shape] = {"type": "boolean"}
ANYTHING: Final[Shape] = {}
MOMENT: Final[Shape] = {"type": "string", "format": "date-time"}
DURATION: Final[Shape] = {"type": "string", "format": "duration"}


def ref(name: str) -> Shape:
    """Return a reference to one of `SHAPES`."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(shape: Shape) -> Shape:
    """Return a shape that may be null."""
    return {"anyOf": [shape, {"type": "null"}]}


def listed(shape: Shape) -> Shape:
    """Return an array of a shape."""
    return {"type": "array", "items": shape}


def by_name(shape: Shape) -> Shape:
    """Return an object with names that are not known beforehand."""
    return {"type": "object", "additionalProperties": shape}


def closed(*optional: str, **fields: Shape) -> Shape:
    """Return an object with exactly these fields, all but the optional ones always there."""
    required = [name for name in fields if name not in optional]
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def page(shape: Shape) -> Shape:
    """Return a page of a list, newest first."""
    ends = {"from": maybe(NUMBER), "next": maybe(NUMBER)}
    return closed(results=listed(shape), limit=NUMBER, **ends)


_CELL: Final = closed(version=maybe(NUMBER), state=TEXT)
_TIMES: Final = {
    "createdAt": maybe(MOMENT),
    "startedAt": maybe(MOMENT),
    "endedAt": maybe(MOMENT),
    "duration": maybe(DURATION),
}
_ENTRY: Final = {
    "version": NUMBER,
    "fingerprints": by_name(TEXT),
    "diff": by_name(ANYTHING),
    "kind": TEXT,
    "by": TEXT,
    "reason": TEXT,
    "intent": NUMBER,
    "at": MOMENT,
}
_VERSION: Final = {
    **_ENTRY,
    "taskUid": maybe(NUMBER),
    **_TIMES,
    "nodes": by_name(ref("NodePart")),
}
_INDEX: Final = {
    "uid": TEXT,
    "version": NUMBER,
    "fingerprint": maybe(TEXT),
    "primaryKey": maybe(TEXT),
    "phase": TEXT,
    "frozen": maybe(TEXT),
    "unconfirmed": maybe(closed(baseVersion=NUMBER, until=MOMENT)),
    "nodes": by_name(ref("Cell")),
}
_STANDING: Final = {"version": NUMBER, "phase": TEXT, "nodes": by_name(ref("Cell"))}
_KEY: Final = closed(
    "name", "description",
    uid=TEXT, name=maybe(TEXT), description=maybe(TEXT), actions=listed(TEXT),
    indexes=listed(TEXT), expiresAt=maybe(MOMENT), createdAt=MOMENT, updatedAt=MOMENT,
)  # fmt: skip

SHAPES: Final[dict[str, Shape]] = {
    "Error": closed(message=TEXT, code=TEXT, type=TEXT, link=TEXT),
    "Task": closed(
        "customMetadata",
        taskUid=NUMBER, indexUid=maybe(TEXT), status=TEXT, type=TEXT, enqueuedAt=MOMENT,
        customMetadata=ANYTHING,
    ),
    "Cell": _CELL,
    "Node": closed(
        id=TEXT, url=TEXT, shard=NUMBER, replicaGroup=NUMBER, healthy=FLAG, engine=maybe(TEXT)
    ),
    "Index": closed(**_INDEX),
    "Topology": closed(
        topology=closed(
            epoch=NUMBER, shards=NUMBER, replicaGroups=NUMBER, nodes=listed(ref("Node"))
        ),
        indexes=listed(ref("Index")),
    ),
    "NodeTask": closed(
        uid=NUMBER, status=TEXT, error=ANYTHING, startedAt=maybe(MOMENT),
        finishedAt=maybe(MOMENT), duration=maybe(DURATION),
    ),
    "NodePart": closed(
        state=maybe(TEXT), taskUid=maybe(NUMBER), startedAt=maybe(MOMENT),
        finishedAt=maybe(MOMENT), duration=maybe(DURATION), fingerprint=maybe(TEXT),
        engine=maybe(TEXT), faults=listed(TEXT), proposals=NUMBER, error=ANYTHING,
        tasks=listed(ref("NodeTask")), progress=maybe(ref("NodeProgress")),
    ),
    "NodeProgress": closed(
        percentage={"type": "number", "minimum": 0, "maximum": 100}, step=TEXT,
        estimatedSecondsLeft=maybe({"type": "number", "minimum": 0}),
    ),
    "Intent": closed(
        id=NUMBER, index=TEXT, kind=TEXT, phase=TEXT, decision=maybe(TEXT), round=NUMBER,
        retries=NUMBER, baseVersion=NUMBER, version=maybe(NUMBER), taskUid=maybe(NUMBER),
        patch=by_name(ANYTHING), swaps=listed(ANYTHING), expected=by_name(TEXT),
        nodes=by_name(ref("NodePart")), waitsFor=listed(TEXT), error=ANYTHING, by=TEXT,
        reason=TEXT, **_TIMES,
    ),
    "Intents": page(ref("Intent")),
    "Entry": closed(**_ENTRY),
    "SettingsVersion": closed(**_VERSION),
    "WholeVersion": closed(**_VERSION, settings=maybe(by_name(ANYTHING))),
    "History": page(ref("SettingsVersion")),
    "Settings": closed(
        **_INDEX, fingerprints=by_name(TEXT), settings=by_name(ANYTHING),
        intent=maybe(ref("Intent")), queued=listed(ref("Intent")), history=listed(ref("Entry")),
    ),
    "DriftRow": closed(
        index=TEXT, node=TEXT, mode=TEXT, breaker=TEXT, state=TEXT, faults=listed(TEXT),
        fingerprint=maybe(TEXT), action=TEXT, why=maybe(TEXT), firstSeenAt=MOMENT,
        lastSeenAt=MOMENT,
    ),
    "DriftRows": closed(results=listed(ref("DriftRow"))),
    "DriftRule": closed(
        index=TEXT, mode=TEXT, modeIs={"type": "string", "enum": ["ordered", "configured"]},
        ignoredKeys=listed(TEXT), by=TEXT, reason=TEXT, at=MOMENT,
    ),
    "DriftOrder": closed(
        "mode", "ignoredKeys", "by", "reason",
        mode=maybe({"type": "string", "enum": ["repair", "alert", "adopt", "off"]}),
        ignoredKeys=maybe(listed(TEXT)), by=maybe(TEXT), reason=maybe(TEXT),
    ),
    "DriftRuled": closed(rule=ref("DriftRule"), results=listed(ref("DriftRow"))),
    "Drift": closed(
        results=listed(ref("DriftRow")), modes=by_name(TEXT),
        rules=listed(ref("DriftRule")), orders=listed(ref("DriftRule")),
        unmanaged=listed(closed(index=TEXT, nodes=listed(TEXT), why=TEXT)),
    ),
    "Features": closed(**_STANDING, features=by_name(FLAG)),
    "Keys": closed(
        **_STANDING, keys=listed(_KEY), unmanaged=by_name(maybe(listed(by_name(ANYTHING))))
    ),
    "Rollback": closed("reason", version=NUMBER, reason=maybe(TEXT)),
    "Confirm": closed(version=NUMBER),
    "Apply": closed(
        "baseVersion", "by", "reason", "confirmWithinS", "canary",
        settings=by_name(ANYTHING), baseVersion=maybe(NUMBER), by=maybe(TEXT),
        reason=maybe(TEXT), confirmWithinS=maybe({"type": "number", "exclusiveMinimum": 0}),
        canary=maybe(ref("Canary")),
    ),
    "Canary": closed(
        "maxZeroHitRate",
        queries={**listed(ref("GoldenQuery")), "minItems": 1, "maxItems": 200},
        maxZeroHitRate=maybe({"type": "number", "minimum": 0, "maximum": 1}),
    ),
    "GoldenQuery": closed(
        "name", "expectedIds", "top", "minOverlap", "maxMs",
        name=TEXT, search=by_name(ANYTHING), expectedIds=listed({"type": ["string", "integer"]}),
        top={"type": "integer", "minimum": 1, "maximum": 1000},
        minOverlap=maybe({"type": "number", "minimum": 0, "maximum": 1}),
        maxMs=maybe({"type": "number", "exclusiveMinimum": 0}),
    ),
}  # fmt: skip

"""
docs/reference/http-api.md, headers.md and errors.md, made from the code.

`python -m miroir.api.reference http-api > docs/reference/http-api.md`, likewise `headers` and
`errors`. Text only; a test compares the files with what these functions return.
"""

import sys
from collections.abc import Iterator
from typing import Final, cast

from miroir import errors
from miroir.api import public_system
from miroir.api.edge import Edge
from miroir.api.router import Route
from miroir.api.routes import all_routes
from miroir.api.settings_headers import BY_CHARACTERS_MAX, REASON_CHARACTERS_MAX

_HTTP_API: Final = """\
# HTTP API

<!-- Made by `python -m miroir.api.reference http-api`; the rows are the route table. -->

Miroir speaks Meilisearch's API on one port. What a row says of a route: **pass** means that with
one shard a node's answer comes back byte for byte; **merge** that with several shards the answers
are merged exactly, or refused with 501 `miroir_cannot_merge` (docs/reference/exactness.md);
**broadcast** that it is carried to every node by the two-phase protocol; **routed** that it goes
to every replica of the shard that owns the document; **own** that Miroir answers from its store.

Every route takes the master key, and the keys of the cluster (`/keys`) with the rights that they
have on one node. Reads that nodes answer (**pass**, **merge**) also take any other key that the
node which answers knows. `/_miroir/*` needs the admin key. Keys and features are answered when
every node that can be reached has been read back; 503 `miroir_not_everywhere` if that takes long.

A task is Miroir's, with Miroir's number; so is a batch: one task, or a cancelation with what it
has cancelled. `POST /tasks/cancel` takes writes back before they are sent, or on the nodes, and
changes before they have begun; a change that has begun goes on (docs/adr/0009). `DELETE /tasks`
deletes ended tasks here, not those of nodes. `/webhooks` tell of Miroir's tasks, each at least
once; what a receiver does not take is tried again for a day, of the newest 10,000 tasks (64 MiB);
nodes tell nobody anything.

Settings are read with an `ETag` and written, where the client asks for it, only at the version
that it has seen (docs/reference/headers.md). Lists of intents and versions are read newest first:
`limit` (20, at most 1000) and `from`; `next` in the answer is the `from` of the next page, or
null. Intents are found by `index` (uids) and `state`: a phase, `open`, or `closed`; several with
commas. Of an open intent, `nodes[name].progress` is what that node tells of its batch: percentage
(of steps, which are not equally long), step, and `estimatedSecondsLeft`, an estimate from two
looks; null where it works on something else, is done, or does not tell. Nodes are asked twice a
second at most.
`POST /_miroir/settings/{uid}/rollback` takes `{"version": 12, "reason": "why"}` and answers like a
settings change. So does `.../apply`, with `{"settings": {...}, "baseVersion": 12, "by": "who",
"reason": "why", "confirmWithinS": 600, "canary": {"queries": [...]}}`, of which only `settings`
has to be there. With `confirmWithinS` the change undoes itself unless `.../confirm` with
`{"version": 13}` comes in time. Golden queries (`core/canary.py` has their form) are put to the
changed half of the nodes before the commit; where they do not hold, the change is aborted.
`PATCH /_miroir/drift/{uid}` says what is wanted of an index from now on, also after a restart:
`{"mode": "repair" | "alert" | "adopt" | "off", "ignoredKeys": ["synonyms"], "by": "who",
"reason": "why"}`; what is absent stays as it is, null is as configured. A node that differs in
ignored keys alone counts as right and goes on answering; the next change or repair of the index
sets these keys, too, as all others. `GET /_miroir/drift` has the `rules` that hold, and the newest
100 `orders`.

| method | path | class |
|---|---|---|
"""
_REFUSED: Final = """
## Not offered

These routes of Meilisearch 1.50 answer 501 `miroir_route_not_supported`, with the reason in the
message. Any other path answers 404 `miroir_route_not_found`.

| method | path | why |
|---|---|---|
"""
_CLASSES: Final = (
    ("/_miroir/", "own"),
    ("/settings", "own / broadcast"),
    ("/search", "pass / merge"),
    ("/documents", "routed / merge"),
    ("/fields", "pass / merge"),
    ("/compact", "routed"),
    ("/render-template", "pass"),
    ("/facet-search", "pass / merge"),
    ("/similar", "pass / merge"),
    ("/multi-search", "pass / merge"),
    ("/stats", "merge"),
    ("/tasks", "own"),
    ("/keys", "own / broadcast"),
    ("/experimental-features", "own / broadcast"),
    ("/indexes", "own / broadcast"),
    ("/swap-indexes", "own / broadcast"),
)

HEADERS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "X-Miroir-Settings-Version",
        "answer",
        "The settings version of the nodes that answered; with the flag below, the last committed "
        "one. Never a number that is not committed. Of multi-search: `movies=12,books=4`.",
    ),
    (
        "X-Miroir-Settings-Inconsistent",
        "answer",
        "`true` when one version could not be guaranteed: a change was in flight and no covering "
        "set was proved at one version (`settings_broadcast.when_no_cover: available`).",
    ),
    (
        "X-Miroir-Min-Settings-Version",
        "request",
        "Answer only with nodes proved at this version or a later one, else 503 "
        "`miroir_settings_version_stale` with `Retry-After`. A number, or `movies=12,books=4`.",
    ),
    (
        "ETag",
        "answer",
        '`"12"` on every GET of settings: their version. One number for the whole object and all '
        "sub-routes; it never means anything else again, also after the index was deleted.",
    ),
    (
        "If-Match",
        "request",
        "On PATCH, PUT and DELETE of settings, and on rollback: go ahead only if the settings are "
        'still at this version, else 412 `miroir_settings_version_mismatch`. `"12"`, a list, or '
        "`*` (there are settings at all). A change that was accepted and has not ended counts as "
        "moved. A weak tag never matches (RFC 9110).",
    ),
    (
        "If-None-Match",
        "request",
        'On GET of settings: 304 without a body if they are still at `"12"` (or `W/"12"`, a list, '
        "`*`).",
    ),
    (
        "X-Miroir-By",
        "request",
        "Who asks for a settings change, for its history; default `client`. A claim, not checked. "
        f"At most {BY_CHARACTERS_MAX} characters of UTF-8 on one line, no control characters.",
    ),
    (
        "X-Miroir-Reason",
        "request",
        f"Why, likewise; at most {REASON_CHARACTERS_MAX} characters.",
    ),
    (
        "X-Miroir-Write-Consistency",
        "request",
        "On document writes: `one`, `majority` or `all` replicas of every shard concerned must "
        "have taken the write before it is acknowledged; default `writes.consistency`. With fewer "
        "in sync, 503 `miroir_too_few_replicas` and nothing is written; if they do not have it "
        "within ten seconds, 503 `miroir_write_pending`: it goes on all the same.",
    ),
    (
        "X-Miroir-Degraded",
        "answer",
        "On acknowledged document writes and on `/health`: shards that have fewer replicas in "
        "sync and up than there are replica groups, e.g. `0=1/2, 2=1/2`; absent when none has. "
        "Never on searches and other reads: every shard answers them, or they are refused.",
    ),
    (
        "X-Miroir-Timeout-Ms",
        "request",
        "On reads: how long the client waits. What nodes are asked ends by then, retries "
        "included; 504 `miroir_timeout`. At most `limits.search_timeout_s`.",
    ),
    (
        "Content-Encoding",
        "both",
        "`gzip`, `deflate`, and `br`. Of requests on every route; of "
        "answers from `limits.compress_from_bytes` on, as `Accept-Encoding` has it.",
    ),
    ("Retry-After", "answer", "Seconds; with every 503."),
    ("Meili-Include-Metadata", "request", "Passed on to the nodes by search and multi-search."),
    ("Authorization", "request", "`Bearer KEY`, as with Meilisearch."),
)


def http_api() -> str:
    """Return the page of routes."""
    rows = "".join(
        f"| {route.method} | `{route.pattern}` | {_class(route.pattern)} |\n"
        for route in sorted(offered(), key=lambda r: (r.pattern, r.method))
    )
    refused = "".join(
        f"| {method} | `{path}` | {why} |\n"
        for method, path, why in sorted(public_system.UNSUPPORTED, key=lambda row: row[1])
    )
    return _HTTP_API + rows + _REFUSED + refused


def headers() -> str:
    """Return the page of headers."""
    rows = "".join(f"| `{name}` | {side} | {text} |\n" for name, side, text in HEADERS)
    return (
        "# Headers\n\n<!-- Made by `python -m miroir.api.reference headers`. -->\n\n"
        "| header | in | meaning |\n|---|---|---|\n" + rows
    )


def error_page() -> str:
    """Return the page of Miroir's own error codes."""
    rows = "".join(
        f'| <a id="{code}"></a>`{code}` | {status} | {kind} | {text} |\n'
        for code, status, kind, text in sorted(_own_errors())
    )
    return (
        "# Errors\n\n<!-- Made by `python -m miroir.api.reference errors`. -->\n\n"
        "Every error has Meilisearch's form (`message`, `code`, `type`, `link`). Errors that "
        "Meilisearch has\nkeep its code and words; these are Miroir's own.\n\n"
        "| code | status | type | meaning |\n|---|---|---|---|\n" + rows
    )


def offered() -> Iterator[Route]:
    """Yield every route that is offered."""
    refused = {row[:2] for row in public_system.UNSUPPORTED}
    for route in all_routes(cast("Edge", None)):  # Routes are made, none is called.
        if (route.method, route.pattern) not in refused:
            yield route


def _class(pattern: str) -> str:
    return next((kind for mark, kind in _CLASSES if mark in pattern), "own")


def _own_errors() -> set[tuple[str, int, str, str]]:
    found: set[tuple[str, int, str, str]] = set()
    waiting: list[type[errors.MiroirError]] = [errors.MiroirError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "code" in vars(kind) and kind.code.startswith("miroir_"):
            text = (kind.__doc__ or "").strip().splitlines()[0]
            found.add((kind.code, kind.http_status, kind.error_type, text))
    return found


PAGES: Final = {"http-api": http_api, "headers": headers, "errors": error_page}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())

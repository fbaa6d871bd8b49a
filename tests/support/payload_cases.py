"""
Document payloads and what a Meilisearch 1.50 node makes of each on a fresh index.

Used by the unit tests (our answer) and by the integration tests (the node's answer), so that the
two cannot drift apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
BAD_ID = (
    "Document identifier `%s` is invalid. A document identifier can be of type integer or "
    "string, only composed of alphanumeric characters (a-z A-Z 0-9), hyphens (-) and "
    "underscores (_), and can not be more than 511 bytes."
)
MISSING = "Document doesn't have a `%s` attribute: `%s`."
TOO_MANY = "Document have too many matching `%s` attribute: `%s`."
NO_CANDIDATE = (
    "The primary key inference failed as the engine did not find any field ending with `id` in "
    "its name. Please specify the primary key manually using the `primaryKey` query parameter."
)
CANDIDATES = (
    "The primary key inference failed as the engine found %d fields ending with `id` in their "
    "names: '%s' and '%s'. Please specify the primary key manually using the `primaryKey` query "
    "parameter."
)


@dataclass(frozen=True)
class Case:
    """One payload; either the canonical ids in it, or the task's error."""

    body: bytes
    ids: Sequence[str] = ()
    code: str | None = None
    message: str = ""
    content_type: str = JSON
    param: str | None = None


def _good(body: str, *ids: str, to: str = JSON, param: str | None = None) -> Case:
    return Case(body.encode(), list(ids), content_type=to, param=param)


def _bad_id(body: str, shown: str, *, to: str = JSON, param: str | None = None) -> Case:
    return Case(body.encode(), (), "invalid_document_id", BAD_ID % shown, to, param)


def _missing(body: str, key: str, shown: str, *, to: str = JSON, param: str | None = None) -> Case:
    return Case(body.encode(), (), "missing_document_id", MISSING % (key, shown), to, param)


def _too_many(body: str, key: str, shown: str, *, to: str = JSON) -> Case:
    param = key if "." in key else None
    return Case(body.encode(), (), "invalid_document_id", TOO_MANY % (key, shown), to, param)


def _inference(body: str, message: str, code: str, *, to: str = JSON) -> Case:
    return Case(body.encode(), (), f"index_primary_key_{code}_found", message, to)


def _no_candidate(body: str, *, to: str = JSON) -> Case:
    return _inference(body, NO_CANDIDATE, "no_candidate", to=to)


def _candidates(body: str, count: int, first: str, second: str, *, to: str = JSON) -> Case:
    message = CANDIDATES % (count, first, second)
    return _inference(body, message, "multiple_candidates", to=to)


CASES: tuple[Case, ...] = (
    # what is an id
    _good('[{"id":1},{"id":"1a-_Z"},{"id":-7}]', "1", "1a-_Z", "-7"),
    _good('[{"id":0}]', "0"),
    _good('[{"id":18446744073709551615}]', "18446744073709551615"),
    _good('[{"id":-9223372036854775808}]', "-9223372036854775808"),
    _good('[{"id":"' + "a" * 511 + '"}]', "a" * 511),
    _good('[{"id":"a\\u0062"}]', "ab"),
    _good('[{"\\u0069d":5}]', "5"),
    _good('{"id":1}', "1"),
    _bad_id('[{"id":1.0}]', "1.0"),
    _bad_id('[{"id":1e2}]', "100.0"),
    _bad_id('[{"id":-0}]', "-0.0"),
    _bad_id('[{"id":18446744073709551616}]', "1.8446744073709552e+19"),
    _bad_id('[{"id":-9223372036854775809}]', "-9.223372036854776e+18"),
    _bad_id('[{"id":null}]', "null"),
    _bad_id('[{"id":true}]', "true"),
    _bad_id('[{"id":[1]}]', "[1]"),
    _bad_id('[{"id":{"a":1}}]', '{"a":1}'),
    _bad_id('[{"id":""}]', '""'),
    _bad_id('[{"id":"a b"}]', '"a b"'),
    _bad_id('[{"id":"é"}]', '"é"'),
    _bad_id('[{"id":"' + "a" * 512 + '"}]', '"' + "a" * 512 + '"'),
    _bad_id('[{"id":1},{"id":"b/"},{"x":1}]', '"b/"'),
    _missing('[{"id":1},{"x":1},{"id":"b/"}]', "id", '{"x":1}'),
    _missing(
        '[{"title":"x","ID":7},{"title":"\\u00e9/\\u0007","n":123456789012345678901234567890,'
        '"f":1e30,"z":1.0,"s":-0,"l":[1e-5,"1e5"]}]',
        "ID",
        '{"title":"é/\\u0007","n":1.2345678901234568e+29,"f":1e+30,"z":1.0,"s":-0.0,'
        '"l":[0.00001,"1e5"]}',
    ),
    # which attribute
    _good('[{"pId":1}]', "1"),
    _good('[{"void":1}]', "1"),
    _good('[{"foo":1,"id":"x y"}]', "1", param="foo"),
    _no_candidate("{}"),
    _no_candidate('[{"a":{"id":1}}]'),
    _no_candidate('[{"x":1},{"id":1}]'),
    _no_candidate('[{"İd":3}]'),
    _candidates('[{"movieId":1,"ID":2,"aid":3}]', 3, "ID", "aid"),
    _candidates('[{"id":1,"Id":1}]', 2, "Id", "id"),
    _missing('[{"id":1}]', "foo", '{"id":1}', param="foo"),
    # nested
    _good('[{"a":{"b":1}},{"a.b":2},{"a":{"x":1,"b":"c"}}]', "1", "2", "c", param="a.b"),
    _good('[{"a":{"b":{"c":1}}},{"a.b":{"c":2}}]', "1", "2", param="a.b.c"),
    _good('[{"a":{"b.c":3}},{"a.b.c":4}]', "3", "4", param="a.b.c"),
    _good('[{"a.b":1,"a.b":2}]', "2", param="a.b"),
    _good('{"a":{"b":1},"a":{"b":2}}', "2", param="a.b"),
    _missing('[{"a":[{"b":1}]}]', "a.b", '{"a":[{"b":1}]}', param="a.b"),
    _missing('[{"a":1}]', "a.b", '{"a":1}', param="a.b"),
    _missing('[{"a":{"c":1}}]', "a.b", '{"a":{"c":1}}', param="a.b"),
    _bad_id('[{"a":{"b":{"c":1}}}]', '{"c":1}', param="a.b"),
    _bad_id('[{"a":{"b":null}}]', "null", param="a.b"),
    _too_many('[{"a.b":2,"a":{"b":1}}]', "a.b", '{"a.b":2,"a":{"b":1}}'),
    _too_many('[{"a":{"b":1,"b":2}}]', "a.b", '{"a":{"b":2}}'),
    _too_many('[{"a":{"b":{"c":1},"b.c":2}}]', "a.b.c", '{"a":{"b":{"c":1},"b.c":2}}'),
    # repeated keys: only an NDJSON document keeps both
    _good('[{"id":1,"id":2}]', "2"),
    _too_many('{"id":1,"id":2}', "id", '{"id":2}', to=NDJSON),
    _too_many('{"\\u0069d":5,"id":6}', "id", '{"id":6}', to=NDJSON),
    _too_many('{"a":{"b":1},"a":{"b":2}}', "a.b", '{"a":{"b":2}}', to=NDJSON),
    _good('{"x":1,"id":1,"x":2}\n{"id":2}', "1", "2", to=NDJSON),
    _good('{"id":1,"x":"id"}', "1", to=NDJSON),
    _no_candidate('{}\n{"id":1}', to=NDJSON),
    # CSV
    _good("id,a\n1,\n01,x\n", "1", "01", to=CSV),
    _good("id:number\n+1\n007\n", "1", "7", to=CSV),
    _good("id,id:number\n1,2\n", "2", to=CSV),
    _good("a.b,c\n1,2\n", "1", to=CSV, param="a.b"),
    _good('"id"\n"1"\n', "1", to=CSV),
    _bad_id("id:number\n1.5\n", "1.5", to=CSV),
    _bad_id("id:number,a\n1,\n,x\n", "null", to=CSV),
    _bad_id("id:number\n18446744073709551615\n", "1.8446744073709552e+19", to=CSV),
    _bad_id("id:number\n1e3\n", "1000.0", to=CSV),
    _bad_id("id:number\nnan\n", "null", to=CSV),
    _bad_id("id\n 1 \n", '" 1 "', to=CSV),
    _bad_id('id\n"1\n', '"1\\n"', to=CSV),
    _no_candidate(" id ,a\n1,2\n", to=CSV),
    _no_candidate("id:foo\n1\n", to=CSV),
    _candidates("id,aid,bid\n1,2,3", 3, "aid", "bid", to=CSV),
    _missing("title\n1\n", "id", '{"title":"1"}', to=CSV, param="id"),
)

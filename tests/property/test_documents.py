"""Splitting random payloads loses nothing, adds nothing, and sends each id to one shard."""

import csv
import io
import json

from hypothesis import given, strategies as st

from miroir.core.documents import check_ids, parse_payload, split
from miroir.core.documents.csv_text import read_table
from miroir.core.routing import shard_of, slot_table


def texts_of(size):
    return st.text(st.characters(codec="utf-8"), max_size=size)


ids = st.integers(-(2**63), 2**64 - 1) | st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts_of(5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts_of(3), inner, max_size=3),
    max_leaves=5,
)
documents = st.builds(
    lambda key, rest, first: {"k": key, **rest} if first else {**rest, "k": key},
    ids,
    st.dictionaries(texts_of(5).filter(lambda name: name != "k"), values, max_size=3),
    st.booleans(),
)


@given(st.lists(documents), st.integers(1, 4), st.booleans(), st.booleans())
def test_json_and_ndjson_documents_arrive_once_at_the_shard_of_their_id(
    docs, shards, lines, escaped
):
    """The union of the batches is the payload, in order, whatever the spelling."""
    texts = [json.dumps(doc, ensure_ascii=escaped).encode() for doc in docs]
    body = b"\n".join(texts) + b"\n" if lines else b"[" + b" , ".join(texts) + b"]"
    payload = parse_payload(body, "application/x-ndjson" if lines else "application/json")
    keys = check_ids(payload, "k")
    assert keys == [str(doc["k"]) for doc in docs]
    table = slot_table(shards)
    found = split(payload, keys, table)
    for shard in range(shards):
        mine = [t for t, k in zip(texts, keys, strict=True) if shard_of(k, table) == shard]
        assert (shard in found) == bool(mine)
        if mine:
            glue = b"\n".join(mine) if lines else b"[" + b",".join(mine) + b"]"
            assert found[shard].body == glue


# The standard writer does not quote a lone CR when lines end in LF, so it is left out here.
cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


@given(
    st.lists(st.lists(cells, min_size=2, max_size=2), max_size=6),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv_is_read_as_the_standard_library_wrote_it(rows, quoting, line_end):
    """A reader of our own must agree with a writer that is not."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, lineterminator=line_end)
    writer.writerows([["id", "a"], *rows])
    table = read_table(out.getvalue().encode(), b",")
    assert list(zip(table.cells(0), table.cells(1), strict=True)) == [
        (first or None, second or None) for first, second in rows
    ]

"""
The field `_vectors` of documents: what clients may send, and what is kept.

    "_vectors": {"name": [0.1, 0.2]}                                     one vector
                {"name": [[0.1, 0.2], [0.3, 0.4]]}                       several
                {"name": {"embeddings": ..., "regenerate": false}}       the form that is kept
                {"name": null}                                           none, on purpose

Entries of configured embedders are kept in their full form, others as they were sent. A document
that is written without an entry keeps the one it has, unless that was to be regenerated. This node
embeds nothing: an embedder of the source `userProvided` needs an entry in every document, one of
another source has no vectors where none are given. Pure. Sources: milli 1.50,
vector/parsed_vectors.rs and update/new/extract/vectors.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rapidfuzz.distance import OSA

from miroir.node.engine.vectors import FIELD, quantized, single
from miroir.node.errors import ApiError
from miroir.node.json_text import Raw, RawDocument, decode, encode, encode_text
from miroir.node.validate import described, kind_of

_TYPE_CODE: Final = "invalid_vectors_type"
_PLAIN: Final = {
    "boolean": "boolean", "integer": "integer", "negative": "integer", "float": "number",
    "string": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """What a document says for one embedder; `embeddings` None leaves them as they are."""

    embeddings: list[list[float]] | None
    regenerate: bool

    def kept(self, *, as_signs: bool) -> dict[str, Any]:
        """Return the form that is stored and shown."""
        vectors = self.embeddings or []
        shown = [quantized(v) if as_signs else list(v) for v in vectors]
        return {"embeddings": shown, "regenerate": self.regenerate}


class VectorWriter:
    """Works out the vectors of the documents of one task; the first fault ends it."""

    def __init__(self, embedders: Mapping[str, Mapping[str, Any]]) -> None:
        self._embedders = embedders
        self._missing: dict[str, list[str]] = {}
        self._fields = Counter[str]()
        self._unused = Counter[str]()

    @property
    def is_needed(self) -> bool:
        """Tell whether there is any embedder, so that old documents must be looked at."""
        return bool(self._embedders)

    def written(
        self, id_: str, before: RawDocument | None, after: RawDocument, *, given: bool
    ) -> RawDocument:
        """
        Return a document with the vectors that it has after a write.

        Args:
            id_: The document, for messages.
            before: What was stored, None for a new document.
            after: What is to be stored.
            given: Whether the client sent `_vectors`, rather than it being kept by an update.

        Raises:
            ApiError: `_vectors` has a wrong shape or a vector wrong dimensions.
        """
        if not self._embedders and FIELD not in after:
            return after
        sent = _object(after[FIELD]) if FIELD in after else {}
        self._fields.update(after.keys())
        self._unused.update(sent.keys() - self._embedders.keys())
        entries = {name: parsed(id_, name, value) for name, value in sent.items()}
        old = _object(before[FIELD]) if before is not None and FIELD in before else {}
        kept: dict[str, Any] = {k: v for k, v in sent.items() if k not in self._embedders}
        for name, embedder in self._embedders.items():
            held = parsed(id_, name, old[name]) if name in old else None
            entry = self._resulting(id_, name, entries.get(name) if given else None, held)
            if entry is not None:
                _require_dimensions(id_, name, embedder, entry)
                kept[name] = entry.kept(as_signs=bool(embedder.get("binaryQuantized")))
        result = {name: raw for name, raw in after.items() if name != FIELD}
        if kept or FIELD in after:
            result[FIELD] = Raw(encode(kept))
        return result

    def _resulting(
        self, id_: str, name: str, sent: Entry | None, held: Entry | None
    ) -> Entry | None:
        if sent is not None and sent.embeddings is not None:
            return sent
        if sent is not None and not sent.regenerate:
            return Entry(held.embeddings if held else [], regenerate=False)
        if sent is None and held is not None and not held.regenerate:
            return held
        if self._embedders[name].get("source") == "userProvided":
            self._missing.setdefault(name, []).append(id_)
        return None

    def finish(self) -> None:
        """Refuse the task if documents lack vectors (`vector_embedding_error`)."""
        for name, ids in self._missing.items():
            others = f" and at least {len(ids) - 1} other document(s)" if len(ids) > 1 else ""
            raise ApiError(
                "vector_embedding_error",
                f"While embedding documents for embedder `{name}`: no vectors provided for "
                f"document `{ids[0]}`{others}\n- Note: `{name}` has `source: userProvided`, so "
                f"documents must provide embeddings as an array in `_vectors.{name}`.\n"
                + self._hints(name),
            )

    def _hints(self, name: str) -> str:
        """Return what may be meant by names of fields and embedders that are nearly right."""
        near = (
            *(((field, FIELD), count) for field, count in _misspelt(FIELD, self._fields)),
            *(
                ((f"{FIELD}.{other}", f"{FIELD}.{name}"), count)
                for other, count in _misspelt(name, self._unused)
            ),
        )
        hints = [
            f"- Hint: try replacing `{wrong}` by `{right}` in {count} document(s)."
            for (wrong, right), count in near
        ]
        return "\n".join(hints) or f"- Hint: opt-out for a document with `{FIELD}.{name}: null`"


def _misspelt(name: str, found: Counter[str]) -> list[tuple[str, int]]:
    """Return the first of the names that are one or two letters away, each with its count."""
    near = (other for other in sorted(found) if "." not in other)
    return [(n, found[n]) for n in near if n != name and OSA.distance(name, n) <= _LETTERS_MAX][:2]


_LETTERS_MAX: Final = 2


def _object(raw: Raw) -> dict[str, Any]:
    value = decode(raw)
    if isinstance(value, dict):
        return value
    words = {"array": "sequence", "null": "null", "string": f"string {encode_text(value)}"}
    kind = kind_of(value)
    found = words.get(kind) or f"{_PLAIN[kind]} `{encode_text(value)}`"
    column = 0 if kind == "array" else len(encode(value))
    message = f"invalid type: {found}, expected a map at line 1 column {column}"
    raise ApiError("internal", message)


def parsed(id_: str, name: str, value: Any) -> Entry:
    """
    Return an entry of `_vectors`.

    Raises:
        ApiError: `invalid_vectors_type`.
    """
    where = f"._vectors.{name}"
    if value is None:
        return Entry([], regenerate=False)
    if isinstance(value, list):
        return Entry(_vectors(id_, where, value), regenerate=False)
    if not isinstance(value, dict):
        text = value if isinstance(value, str) else encode_text(value)
        raise _bad(
            id_,
            f"Expected `{where}` to be an array of floats, an array of arrays of floats, or an "
            "object with at least the field `regenerate`, but got the "
            f"{_PLAIN[kind_of(value)]} `{text}`",
        )
    return _explicit(id_, where, value)


def _explicit(id_: str, where: str, value: dict[str, Any]) -> Entry:
    embeddings, read = None, 1
    for key, member in value.items():
        read += len(encode(key)) + 1
        column = f"at line 1 column {read}"
        read += len(encode(member)) + 1
        if key == "regenerate":
            if not isinstance(member, bool):
                found = "null" if member is None else f"{_serde(member)}"
                reason = f"invalid type: {found}, expected a boolean at line 1 column {read - 1}"
                raise _bad(id_, f"Could not parse `{where}.regenerate`: {reason}")
        elif key == "embeddings":
            embeddings = _embeddings(id_, f"{where}.embeddings", member)
        else:
            raise _bad(id_, f"Could not parse `{where}`: trailing characters {column}")
    if "regenerate" not in value:
        raise _bad(
            id_,
            f"Missing field `{where}.regenerate`\n  - note: `{where}` must be an array of floats, "
            "an array of arrays of floats, or an object with field `regenerate`",
        )
    return Entry(embeddings, value["regenerate"])


def _serde(value: Any) -> str:
    kind = kind_of(value)
    names = {"float": "floating point", "array": "sequence", "object": "map"}
    return f"{names.get(kind) or _PLAIN.get(kind, kind)} {encode_text(value)}"


def _embeddings(id_: str, where: str, value: Any) -> list[list[float]] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong(id_, where, "null or an array", value)
    return _vectors(id_, where, value)


def _vectors(id_: str, where: str, values: list[Any]) -> list[list[float]]:
    """Return one or several vectors; the first element says which."""
    if not values:
        return []
    if isinstance(values[0], list):
        return [_vector(id_, f"{where}[{at}]", value) for at, value in enumerate(values)]
    if not _is_number(values[0]):
        raise _wrong(id_, f"{where}[0]", "a number or an array", values[0])
    return [_vector(id_, where, values)]


def _vector(id_: str, where: str, value: Any) -> list[float]:
    if not isinstance(value, list):
        raise _wrong(id_, where, "an array", value)
    for at, number in enumerate(value):
        if not _is_number(number):
            raise _wrong(id_, f"{where}[{at}]", "a number", number)
    return [single(number) for number in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(id_: str, where: str, expected: str, found: Any) -> ApiError:
    return _bad(
        id_, f"Invalid value type at `{where}`: expected {expected}, but found {described(found)}"
    )


def _bad(id_: str, reason: str) -> ApiError:
    message = f"Bad embedder configuration in the document with id: `{id_}`. {reason}"
    return ApiError(_TYPE_CODE, message)


def _require_dimensions(id_: str, name: str, embedder: Mapping[str, Any], entry: Entry) -> None:
    wanted = embedder.get("dimensions")
    for at, vector in enumerate(entry.embeddings or ()):
        if wanted is not None and len(vector) != wanted:
            raise ApiError(
                "invalid_vector_dimensions",
                f"Invalid vector dimensions in document with id `{id_}` in `._vectors.{name}`.\n"
                f"  - note: embedding #{at} has dimensions {len(vector)}\n"
                f"  - note: embedder `{name}` requires {wanted}",
            )


def rewritten(
    embedders: Mapping[str, Mapping[str, Any]], documents: Iterable[tuple[str, RawDocument]]
) -> dict[str, RawDocument]:
    """
    Return the documents that are stored otherwise once these are the embedders.

    Raises:
        ApiError: A document lacks what an embedder needs.
    """
    writer = VectorWriter(embedders)
    changed: dict[str, RawDocument] = {}
    for id_, document in documents:
        result = writer.written(id_, document, document, given=True)
        if result.get(FIELD) != document.get(FIELD):
            changed[id_] = result
    writer.finish()
    return changed

"""Which part of a document is shown: the `fields` of document routes. Pure."""

from collections.abc import Container, Iterable
from typing import Any

from miroir.node.json_text import Raw, RawDocument, decode, encode, raw_fields

VECTORS = "_vectors"


def shown_document(
    raw: bytes, fields: Iterable[str] | None, *, vectors: bool, embedders: Container[str] = ()
) -> Raw:
    """
    Return a stored document as document routes show it.

    Args:
        raw: The stored JSON object.
        fields: Top-level names or dotted paths to keep; None keeps everything.
        vectors: Whether `_vectors` are shown.
        embedders: Those whose vectors are shown though the fields do not name `_vectors`.
    """
    document = raw_fields(raw)
    if not vectors:
        document.pop(VECTORS, None)
    shown = document if fields is None else _selected(document, list(fields))
    if vectors:
        held = document.get(VECTORS, Raw(b"{}"))
        if fields is not None and VECTORS not in shown:
            held = Raw(encode({k: v for k, v in decode(held).items() if k in embedders}))
        shown[VECTORS] = held
    return Raw(encode(shown))


def _selected(document: RawDocument, fields: list[str]) -> RawDocument:
    kept: RawDocument = {}
    for name, raw in document.items():
        if name in fields:
            kept[name] = raw
            continue
        inner = [field[len(name) + 1 :] for field in fields if field.startswith(f"{name}.")]
        part = _part(decode(raw), inner) if inner else None
        if part is not None:
            kept[name] = Raw(encode(part))
    return kept


def _part(value: Any, fields: list[str]) -> Any:
    """Return what dotted paths reach in a value, None when they reach nothing."""
    if isinstance(value, list):
        parts = [part for item in value if (part := _part(item, fields)) is not None]
        return parts or None
    if not isinstance(value, dict):
        return None
    kept: dict[str, Any] = {}
    for name, member in value.items():
        if name in fields:
            kept[name] = member
            continue
        inner = [field[len(name) + 1 :] for field in fields if field.startswith(f"{name}.")]
        part = _part(member, inner) if inner else None
        if part is not None:
            kept[name] = part
    return kept or None

"""
What the demo works on: a file of documents, and changes of settings that show on these documents.

For the airports that come with Miroir the changes are chosen by hand; for any other JSON, NDJSON
or CSV file they are derived from what is in it. What the answers must be is computed here from the
file itself, so that the demo compares Miroir with the data and not with itself. Pure but for
reading the file.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from miroir.cli.faults import UsageFault

_CONTENT_TYPES: Final = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
}
_FILE_BYTES_MAX: Final = 90 * 1024 * 1024
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,511}")
_INVENTED: Final = "miroirword"
_PLAIN_RULES: Final = (
    "words", "typo", "proximity", "attributeRank", "sort", "wordPosition", "exactness",
)  # fmt: skip


@dataclass(frozen=True)
class Story:
    """
    The documents and what the demo does with them.

    Attributes:
        index_uid: Named after the file.
        payload: The file as it is.
        content_type: Its kind.
        documents: The same, decoded.
        primary_key: The attribute that identifies a document.
        title: Attribute that hits are shown by.
        query: A search that finds something from the start.
        alias: A search that finds more once `synonyms` are in force.
        synonyms: See Meilisearch's setting.
        facet: Attribute that becomes filterable.
        value: A value of it.
        stop_words: The setting changed while a node dies.
    """

    index_uid: str
    payload: bytes
    content_type: str
    documents: Sequence[Mapping[str, Any]]
    primary_key: str
    title: str
    query: str
    alias: str
    synonyms: Mapping[str, Sequence[str]]
    facet: str
    value: str
    stop_words: Sequence[str]

    @property
    def change(self) -> dict[str, Any]:
        """The settings change of the tour."""
        return {
            "synonyms": {word: list(others) for word, others in self.synonyms.items()},
            "rankingRules": [*_PLAIN_RULES, f"{self.title}:asc"],
            "filterableAttributes": [self.facet],
        }

    @property
    def ids(self) -> set[str]:
        """What identifies the documents."""
        return {str(document[self.primary_key]) for document in self.documents}

    @property
    def matching(self) -> int:
        """How many documents have `value` in `facet`."""
        return sum(str(document.get(self.facet)) == self.value for document in self.documents)

    @property
    def first_titles(self) -> list[str]:
        """Titles in the order that the new ranking rules give a search without words."""
        titles = [str(d[self.title]) for d in self.documents if isinstance(d.get(self.title), str)]
        return sorted(titles, key=str.casefold)


def airports() -> Story:
    """Return the story of the airports that come with Miroir."""
    payload = (resources.files("miroir") / "data" / "airports.json").read_bytes()
    return Story(
        index_uid="airports",
        payload=payload,
        content_type="application/json",
        documents=json.loads(payload),
        primary_key="id",
        title="name",
        query="chicago",
        alias="intl",
        synonyms={"intl": ["international"], "international": ["intl"]},
        facet="state",
        value="CA",
        stop_words=["the", "of"],
    )


def story_of(path: Path) -> Story:
    """
    Return a story for any file of documents.

    Raises:
        UsageFault: It cannot be read, or has nothing in it that a demo can be made of.
    """
    content_type = _CONTENT_TYPES.get(path.suffix.lower())
    if content_type is None:
        raise UsageFault(f"{path}: unknown kind; use {', '.join(_CONTENT_TYPES)}")
    payload = _read(path)
    try:
        documents = _decoded(payload, content_type)
    except ValueError as error:
        raise UsageFault(f"{path}: not {content_type}: {error}") from error
    primary_key = _primary_key(documents)
    if primary_key is None:
        remedy = "give each document an `id` of letters, digits, - and _"
        raise UsageFault(f"{path}: no attribute identifies its documents; {remedy}")
    texts = [name for name in _text_attributes(documents) if name != primary_key]
    facet = _facet(documents, texts)
    if not texts or facet is None:
        raise UsageFault(
            f"{path}: needs at least two documents with text in them to show anything"
        )
    words = _words(documents, texts[0])
    if not words:
        raise UsageFault(f"{path}: no word of three letters or more in `{texts[0]}`")
    return Story(
        index_uid=re.sub(r"[^A-Za-z0-9_-]", "_", path.stem)[:100] or "demo",
        payload=payload,
        content_type=content_type,
        documents=documents,
        primary_key=primary_key,
        title=texts[0],
        query=words[0],
        alias=_INVENTED,
        synonyms={_INVENTED: [words[-1]]},
        facet=facet[0],
        value=facet[1],
        stop_words=["the", "of"],
    )


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise UsageFault(f"{path}: larger than {_FILE_BYTES_MAX} bytes; take a part of it")
        return path.read_bytes()
    except OSError as error:
        raise UsageFault(f"{path}: {(error.strerror or 'unreadable').lower()}") from error


def _decoded(payload: bytes, content_type: str) -> list[dict[str, Any]]:
    text = payload.decode("utf-8-sig")
    if content_type == "text/csv":
        rows = csv.DictReader(io.StringIO(text))
        # Meilisearch's typed headers: `price:number`.
        return [{name.split(":")[0]: value for name, value in row.items()} for row in rows]
    if content_type == "application/json":
        loaded = json.loads(text)
        documents = loaded if isinstance(loaded, list) else [loaded]
    else:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    if not all(isinstance(document, dict) for document in documents):
        raise ValueError("every document must be an object")
    return documents


def _primary_key(documents: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the first attribute whose values can be ids, each another; `...id` comes first."""
    names = sorted(documents[0], key=lambda n: not n.lower().endswith("id")) if documents else []
    for name in names:
        ids = [document.get(name) for document in documents]
        usable = all(isinstance(i, str | int) and _ID.fullmatch(str(i)) for i in ids)
        if usable and len(set(map(str, ids))) == len(ids):
            return name
    return None


def _text_attributes(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return attributes that hold text in most documents, the most varied first."""
    values: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for document in documents:
        for name, value in document.items():
            if isinstance(value, str) and re.search(r"[A-Za-z]{3}", value) and "://" not in value:
                values.setdefault(name, set()).add(value)
                counts[name] += 1
    common = [name for name in values if counts[name] * 2 > len(documents)]
    # Stable: among equals the order of the file decides.
    return sorted(common, key=lambda name: -len(values[name]))


def _facet(documents: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> tuple[str, str] | None:
    """Return an attribute with few values, and its most frequent value."""
    for name in reversed(texts):
        values = Counter(str(d[name]) for d in documents if isinstance(d.get(name), str))
        value, _ = values.most_common(1)[0]
        if len(documents) > 1:
            return name, value
    return None


def _words(documents: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Return words of an attribute, the most frequent first."""
    texts = (document.get(name) for document in documents[:1000])
    found = Counter(
        word.lower()
        for text in texts
        if isinstance(text, str)
        for word in re.findall(r"[A-Za-z]{3,}", text)
    )
    return [word for word, _ in found.most_common()]

"""
Where settings hold secrets, how files refer to them, and how they are hidden.

Secret are, within `embedders`: every `apiKey` at any depth, headers that authorise, a URL with a
query or a user in it, and what a body that is sent to an embedding server (`request`, fragments)
has under a telling name, or in the form of a token. Nodes mask only the outermost `apiKey`; the
others they show, so whatever is printed or written goes through `redacted` or `referenced` first,
what the store keeps in clear through `discreet`, and what a node says in its own words through
`scrubbed`. What `secret_texts` names is not heard from Miroir at all
(`telemetry/known_secrets.py`). A reference is `env:NAME` or `file:PATH`, and only at these places:
elsewhere such a text is a word like any other. Pure: what a reference stands for is looked up by
the caller.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from miroir.core.settings_normal import EMBEDDERS, masked

HIDDEN: Final = "(secret)"
Path = tuple[str, ...]
Lookup = Callable[[str], str | None]
"""Reference -> secret; None: there is none."""
_REFERENCE: Final = re.compile(r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")
_HEADER: Final = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\?.|//[^/]*@")
_URL: Final = re.compile(r"\w[\w+.-]*://\S+")
_BODIES: Final = frozenset({"request", "response", "indexingFragments", "searchFragments"})
_WORDS: Final = frozenset(
    {
        "key", "apikey", "token", "secret", "password", "passwd", "passphrase", "pwd", "auth",
        "authorization", "authentication", "credential", "credentials", "bearer", "cookie",
        "signature",
    }
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TOKEN: Final = re.compile(
    r"(?:bearer|basic|token)\s+[\w.~+/=-]{8,}"
    r"|(?:sk|pk|rk|hf|gh[pousr]|xox[abprs]|glpat|nvapi|jina|pa)[-_][\w-]{12,}"
    r"|AKIA[0-9A-Z]{12,}|AIza[\w-]{20,}|eyJ[\w-]+\.[\w.-]+",
    re.IGNORECASE,
)
"""Forms in which well-known services give out keys, and HTTP sends them."""
_SCHEMES: Final = frozenset({"bearer", "basic", "token"})
_FILLED_IN: Final = re.compile(r"\s*\{\{[^{}]*\}\}\s*")
_IN_TEXT: Final = (
    (re.compile(r"(\w://)[^/\s`'\"@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"([?&][\w.-]+=)[^&\s`'\"#)]+"), rf"\1{HIDDEN}"),
    (_TOKEN, HIDDEN),
)
_SECRET_MIN: Final = 4
"""Characters; a shorter word is found everywhere."""
_GONE: Final = object()


def is_reference(value: Any) -> bool:
    """Whether this is `env:NAME` or `file:PATH`."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def is_secret(key: str, path: Path, value: Any) -> bool:
    """Whether the value at this place within the setting `key` must not be shown."""
    if key != EMBEDDERS or not isinstance(value, str) or not path:
        return False
    # Places in lists say nothing; an embedder may be called anything.
    names = (path[0], *(name for name in path[1:] if not name.isdecimal()))
    if names[-1:] == ("apiKey",):
        return True
    if names[-1:] == ("url",) and not _BODIES & set(names[1:]):
        return is_reference(value) or _ADDRESS.search(value) is not None
    if "headers" in names[1:-1]:
        told = _HEADER.search(names[-1]) is not None
        return told or is_reference(value) or _TOKEN.search(value) is not None
    within = next((at for at, name in enumerate(names) if at and name in _BODIES), None)
    return within is not None and _is_secret_of_body(names[within + 1 :], value)


def _is_secret_of_body(names: Path, value: str) -> bool:
    if _FILLED_IN.fullmatch(value):
        return False  # `{{text}}` and the like, which the engine fills in.
    if is_reference(value) or _TOKEN.search(value):
        return True
    if _URL.match(value) and _ADDRESS.search(value):
        return True
    return any(map(_is_telling, names))


def _is_telling(name: str) -> bool:
    return any(word.lower() in _WORDS for word in _WORD.findall(name))


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """Return what somebody else says, without these secrets and what looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SECRET_MIN and not is_reference(secret):
            text = text.replace(secret, HIDDEN)
    for form, instead in _IN_TEXT:
        text = form.sub(instead, text)
    return text


def places(settings: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield every secret of complete or partial settings, its path from the setting inwards."""
    for path, value in _strings(settings.get(EMBEDDERS), ()):
        if is_secret(EMBEDDERS, path, value):
            yield path, value


def secret_texts(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield every text that would give a secret of complete or partial settings away."""
    for _, value in places(settings):
        yield value
        scheme, _, credential = value.partition(" ")
        if scheme.lower() in _SCHEMES:
            yield credential
        if _URL.match(value):
            yield from _texts_of_url(value)


def _texts_of_url(url: str) -> Iterator[str]:
    """Yield what opens a door: others may see where it is."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query)
    except ValueError:
        return  # No URL at all: the whole of it is known.
    if parts.password:
        yield unquote(parts.password)
    yield from (said for name, said in pairs if _is_telling(name) or _TOKEN.search(said))


def redacted(key: str, value: Any, path: Path = ()) -> Any:
    """Return a value with references kept and secrets replaced by a mark."""
    if isinstance(value, Mapping):
        return {name: redacted(key, inner, (*path, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [redacted(key, inner, (*path, str(at))) for at, inner in enumerate(value)]
    if is_secret(key, path, value) and not is_reference(value):
        return HIDDEN
    return value


def shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings fit to be shown."""
    return {key: redacted(key, value) for key, value in settings.items()}


def discreet(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with a mask, as nodes mask the outermost keys, for every secret."""
    answer = dict(settings)
    for path, secret in places(settings):
        answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, masked(secret))
    return answer


def referenced(settings: Mapping[str, Any], index: str) -> dict[str, Any]:
    """Return settings with a reference that has a telling name in the place of each secret."""
    answer = dict(settings)
    for path, _ in places(settings):
        answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, f"env:{_variable(index, path)}")
    return answer


def resolved(
    settings: Mapping[str, Any], lookup: Lookup
) -> tuple[dict[str, Any], dict[Path, str]]:
    """Return settings with secrets filled in, and the references that lead to none, left out."""
    answer, missing = dict(settings), {}
    for path, value in places(settings):
        if is_reference(value):
            secret = lookup(value)
            if secret is None:
                missing[path] = value
            answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, _GONE if secret is None else secret)
    return answer, missing


def kept(
    settings: Mapping[str, Any], live: Mapping[str, Any], paths: Mapping[Path, str]
) -> dict[str, Any]:
    """Return settings with what is in force at these places, where there is something."""
    answer = dict(settings)
    for path in paths:
        value = _at(live.get(EMBEDDERS), path)
        if value is not None:
            answer[EMBEDDERS] = _put(answer[EMBEDDERS], path, value)
    return answer


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(inner, (*path, str(name)))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _strings(inner, (*path, str(at)))
    elif isinstance(value, str):
        yield path, value


def _at(value: Any, path: Path) -> Any:
    for name in path:
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
        items, at = list(value), int(path[0])
        changed = _put(items[at], path[1:], new)
        items[at] = None if changed is _GONE else changed  # The others keep their places.
        return items
    inner = dict(value) if isinstance(value, Mapping) else {}
    changed = _put(inner.get(path[0]), path[1:], new)
    if changed is _GONE:
        inner.pop(path[0], None)
    else:
        inner[path[0]] = changed
    return inner


def _variable(index: str, path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", "_".join(path)))
    head = re.sub(r"[^A-Za-z0-9]+", "_", index)
    return f"{head}_{name}".upper() if head[:1].isalpha() else f"INDEX_{head}_{name}".upper()

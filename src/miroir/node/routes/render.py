"""The route that shows what a template makes of a document (experimental)."""

from collections.abc import Mapping
from typing import Any, Final

from miroir.node.auth import authorize
from miroir.node.documents.table import find_documents
from miroir.node.engine.fields import Searchable
from miroir.node.errors import ApiError
from miroir.node.features import require_feature
from miroir.node.http import Response, answer
from miroir.node.indexes import IndexRow, find_index
from miroir.node.json_text import decode, encode_text
from miroir.node.liquid import LiquidMissingError, LiquidSyntaxError, Template
from miroir.node.routes.base import Call, Route
from miroir.node.settings import engine_form
from miroir.node.validate import Member, Place, anything, nullable, one_of, string, struct

_TEMPLATE: Final = "invalid_render_template"
_INPUT: Final = "invalid_render_input"
_template: Final = struct(
    kind=Member(
        one_of(
            "documentTemplate", "chatDocumentTemplate", "indexingFragment", "searchFragment",
            "inlineDocumentTemplate", "inlineFragment",
        ),
        required=True,
    ),
    indexUid=Member(nullable(string)),
    embedder=Member(nullable(string)),
    fragment=Member(nullable(string)),
    inline=Member(anything),
)  # fmt: skip
_input: Final = struct(
    kind=Member(one_of("indexDocument", "inlineDocument", "inlineSearch"), required=True),
    indexUid=Member(nullable(string)),
    id=Member(nullable(string)),
    inline=Member(anything),
)
_body: Final = struct(
    template=Member(_template, _TEMPLATE, required=True, missing_code="bad_request"),
    input=Member(nullable(_input), _INPUT),
)


def _render(call: Call) -> Response:
    header = call.request.headers.get("authorization")
    authorize(call.node.keys, header, "settings.get", None)  # Besides the route's own right.
    asked = _body(call.request.json(), Place())
    features = call.node.features
    require_feature(features, "renderRoute", "calling the /render-template route")
    for named in (asked["template"].get("indexUid"), (asked.get("input") or {}).get("indexUid")):
        if named is not None:
            call.access.require(named)
    source, row = _source(call, asked["template"])
    try:
        template = Template(source)
    except LiquidSyntaxError as error:
        message = (
            f"error while fetching template: user error: cannot parse template: liquid: {error}"
        )
        raise ApiError("template_parsing_error", message) from error
    rendered = None
    if asked.get("input") is not None:
        rendered = _rendered(template, _document(call, asked["input"]), row)
    return answer({"template": source, "rendered": rendered})


def _rendered(template: Template, document: dict[str, Any], row: IndexRow | None) -> str:
    settings = engine_form(row.settings if row is not None else {})
    searchable = Searchable(settings["searchableAttributes"], ())
    fields = [
        {"name": name, "value": value, "is_searchable": searchable.weight(name) is not None}
        for name, value in document.items()
    ]
    try:
        return template.render({"doc": document, "fields": fields})
    except LiquidMissingError as error:
        message = "error while rendering template: user error: missing field in document: liquid: "
        raise ApiError("template_rendering_error", f"{message}{error}") from error


def _source(call: Call, asked: Mapping[str, Any]) -> tuple[str, IndexRow | None]:
    """Return the text of the template, and the index that it belongs to."""
    kind = asked["kind"]
    _require_few(asked, _TEMPLATE, "template")
    if kind == "inlineDocumentTemplate":
        return str(_parameter(asked, "inline", _TEMPLATE, "template")), None
    if kind not in {"documentTemplate", "chatDocumentTemplate"}:
        message = "Fragments are not available in the embedded node."
        raise ApiError(_TEMPLATE, f"error while fetching template: {message}")
    uid = _parameter(asked, "indexUid", _TEMPLATE, "template")
    if kind == "chatDocumentTemplate":
        action = "error while fetching template: accessing chat settings"
        require_feature(call.node.features, "chatCompletions", action)
    row = _index(call, uid, f"error while fetching template: cannot open index `{uid}`")
    settings = engine_form(row.settings)
    if kind == "chatDocumentTemplate":
        return str(settings["chat"]["documentTemplate"]), row
    name = _parameter(asked, "embedder", _TEMPLATE, "template")
    embedder = settings["embedders"].get(name)
    if embedder is None or embedder.get("documentTemplate") is None:
        message = f"error while fetching template: cannot find embedder `{name}` in index `{uid}`"
        raise ApiError(_TEMPLATE, message)
    return str(embedder["documentTemplate"]), row


def _document(call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
    kind = asked["kind"]
    if kind != "indexDocument":
        _require_few(asked, _INPUT, "input")
    else:
        uid = _parameter(asked, "indexUid", _INPUT, "input")
        id_ = _parameter(asked, "id", _INPUT, "input")
        row = _index(call, uid, f"Cannot open index `{uid}`")
        _require_few(asked, _INPUT, "input")
        found = find_documents(call.node.store, row.iid, [id_])
        if id_ not in found:
            message = f"error while fetching input: document `{id_}` not found in `{uid}`"
            raise ApiError("render_document_not_found", message)
        document: dict[str, Any] = decode(found[id_])
        return document
    inline = _parameter(asked, "inline", _INPUT, "input")
    if not isinstance(inline, dict):
        text = encode_text(inline)
        shown = f"string {text}" if isinstance(inline, str) else f"`{text}`"
        raise ApiError(
            _INPUT,
            f"error while fetching input: parsing inline document: invalid type: {shown}, "
            f"expected a map at line 1 column {len(text.encode())}\n"
            "  - Note: the inline document must be a JSON map",
        )
    return inline


_DISALLOWED: Final = {
    "documentTemplate": ("fragment", "inline"),
    "inlineDocumentTemplate": ("indexUid", "embedder", "fragment"),
    "indexDocument": ("inline",),
    "inlineDocument": ("indexUid", "id"),
    "inlineSearch": ("indexUid", "id"),
}


def _require_few(asked: Mapping[str, Any], code: str, what: str) -> None:
    for name in _DISALLOWED.get(asked["kind"], ()):
        if asked.get(name) is not None:
            shown = "index_uid" if name == "indexUid" else name
            message = f"parameter `{shown}` disallowed for kind `{asked['kind']}`"
            raise ApiError(code, f"error while fetching {what}: {message}")


def _parameter(asked: Mapping[str, Any], name: str, code: str, what: str) -> Any:
    if asked.get(name) is None:
        shown = "index_uid" if name == "indexUid" and what == "template" else name
        kind = asked["kind"]
        raise ApiError(
            code, f"error while fetching {what}: parameter `{shown}` missing for kind `{kind}`"
        )
    return asked[name]


def _index(call: Call, uid: str, prefix: str) -> IndexRow:
    row = find_index(call.node.store, uid)
    if row is None:
        raise ApiError("index_not_found", f"{prefix}: Index `{uid}` not found.")
    return row


ROUTES: Final = (Route("POST", "/render-template", "documents.get", _render, "search"),)

"""The setting `chat`: its check and its default. The node stores and shows it; it never chats."""

from typing import Any, Final

from miroir.node.validate import Member, array, nullable, number, one_of, string, struct, unsigned

DOCUMENT_TEMPLATE: Final = (
    "{% for field in fields %}{% if field.is_searchable and field.value != nil %}"
    "{{ field.name }}: {{ field.value }}\n{% endif %}{% endfor %}"
)
TEMPLATE_BYTES_MAX: Final = 400
CHAT_DEFAULT: Final[dict[str, Any]] = {
    "description": "",
    "documentTemplate": DOCUMENT_TEMPLATE,
    "documentTemplateMaxBytes": TEMPLATE_BYTES_MAX,
    "searchParameters": {},
}

_hybrid: Final = struct(semanticRatio=Member(number), embedder=Member(string, required=True))
_search: Final = struct(
    hybrid=Member(nullable(_hybrid)),
    limit=Member(nullable(unsigned())),
    sort=Member(nullable(array(string))),
    distinct=Member(nullable(string)),
    matchingStrategy=Member(nullable(one_of("last", "all", "frequency"))),
    attributesToSearchOn=Member(nullable(array(string))),
    rankingScoreThreshold=Member(nullable(number)),
)
chat: Final = struct(
    description=Member(nullable(string)),
    documentTemplate=Member(nullable(string)),
    documentTemplateMaxBytes=Member(nullable(unsigned())),
    searchParameters=Member(nullable(_search)),
)

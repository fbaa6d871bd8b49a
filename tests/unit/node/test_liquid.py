"""Templates of documents."""

import contextlib

import pytest
from hypothesis import given, strategies as st

from miroir.node.liquid import LiquidMissingError, LiquidSyntaxError, Template

DOC = {"doc": {"name": "kefir", "tags": ["a", "b"], "n": 1.5, "z": None}}
PIECES = st.sampled_from([
    "{{", "}}", "{%", "%}", "{%-", "-%}", " if ", " for ", " in ", "doc.name", "endif", "endfor",
    "else", "|", "upcase", "(1..3)", "x", "==", "'a", '"b"', "{% if x %}", "{% endif %}", "join:",
])  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ doc.name | upcase }}!", "KEFIR!"),
        ("{% for t in doc.tags %}{{ t }},{% endfor %}", "a,b,"),
        ("{% if doc.nope %}a{% elsif doc.n > 1 and doc.tags contains 'b' %}b{% endif %}", "b"),
        ("a {%- if doc.z == nil -%} x {%- endif -%} b", "axb"),
        ("{% assign y = doc.tags | join: '-' %}{{ y }}{% unless doc.z %}!{% endunless %}", "a-b!"),
    ],
)
def test_templates_say_what_they_say(template: str, text: str):
    """Somebody tries a template here before giving it to an embedder."""
    assert Template(template).render(DOC) == text


def test_a_field_that_is_not_there_is_told():
    """A template for other documents must not render to nothing unnoticed."""
    with pytest.raises(LiquidMissingError, match="requested index=nope"):
        Template("{{ doc.nope }}").render(DOC)


def test_loops_and_nesting_have_an_end():
    """One request must not keep a node busy for ever."""
    endless = "{% for a in (1..99999) %}{% for b in (1..99999) %}x{% endfor %}{% endfor %}"
    with pytest.raises(LiquidMissingError, match="too long"):
        Template(endless).render(DOC)
    with pytest.raises(LiquidSyntaxError, match="too deeply"):
        Template("{% if doc %}" * 5000)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_text_is_a_template_or_refused(text: str):
    """A typing error is the author's to see, never a crash."""
    # A refusal by name is an answer too.
    with contextlib.suppress(LiquidSyntaxError, LiquidMissingError):
        Template(text).render(DOC)

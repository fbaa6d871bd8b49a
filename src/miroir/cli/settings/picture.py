"""
Plans and differences as people read them: one block for each index, one line for each key.

    movies  v12 · 31,944 documents
      ~ rankingRules          instant        read at query time
          moved    sort 5 → 2
      + stopWords             re-tokenise    all searchable text is tokenised again
          added    a, an, the
      switch     waves: no answer mixes old and new settings

`+` leaves its default, `~` changes, `-` goes back to it. Pure: a renderable from data, secrets
hidden by `secret_places`.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from miroir.cli.settings.durations import words
from miroir.cli.settings.planning import Planned
from miroir.core.engine_keys import FEATURE_OF
from miroir.core.secret_places import HIDDEN, is_reference, is_secret, redacted
from miroir.core.setting_cost import ORDER
from miroir.core.settings import BY_KEY, Cost
from miroir.core.settings_plan import Change
from miroir.core.value_diff import SETS, leaves, list_diff

COLOURS: Final = {
    Cost.INSTANT: "green",
    Cost.FACETS: "cyan",
    Cost.RETOKENISE: "yellow",
    Cost.REEMBED: "red",
}
_ITEMS_MAX: Final = 12
_LEAVES_MAX: Final = 12
_VALUE_MAX: Final = 60
_KEY: Final = 21
_COST: Final = 11


def plan_picture(planned: Sequence[Planned]) -> RenderableType:
    """Return a whole plan; indexes with nothing to do take one line together."""
    parts: list[RenderableType] = []
    for each in planned:
        if not each.plan.empty or each.plan.refusals:
            parts += [*_index(each), Text()]
    same = [each.plan.index for each in planned if each.plan.empty and not each.plan.refusals]
    if same:
        parts.append(Text.assemble(("unchanged  ", "green"), ", ".join(same)))
        parts += [_note(each) for each in planned if each.plan.empty and each.plan.unmanaged]
        parts += [
            _fact("moving", f"{each.plan.index}: {'; '.join(each.live.busy)}", "yellow")
            for each in planned
            if each.plan.empty and each.live.busy
        ]
    parts += [*_missing([each for each in planned if each.plan.empty]), summary(planned)]
    return Group(*parts)


def summary(planned: Sequence[Planned]) -> Text:
    """Return the last line: how much, and how dear."""
    changing = [each for each in planned if not each.plan.empty]
    if not changing:
        return Text("nothing to do: the settings in force are those of the files", "green")
    keys = sum(len(each.plan.changes) for each in changing)
    dearest = max((each.plan.cost for each in changing), key=ORDER.index)
    return Text.assemble(
        (
            f"{_count(keys, 'key')} of {_count(len(changing), 'index', 'indexes')} to change",
            "bold",
        ),
        "; dearest: ",
        (dearest.value, COLOURS[dearest]),
    )


def differences_picture(title: str, changes: Sequence[Change]) -> RenderableType:
    """Return differences without costs."""
    parts: list[RenderableType] = [Text(title, "bold")]
    for change in changes:
        parts += _change(change, cost=False)
    return Group(*parts, Text())


def _index(each: Planned) -> Iterator[RenderableType]:
    live = each.live
    facts = [] if live.version is None else [f"v{live.version}"]
    if not each.plan.exists:
        facts.append("to be created")
    elif live.documents is not None:
        facts.append(_count(live.documents, "document"))
    yield Text.assemble((each.plan.index, "bold"), ("  " + " · ".join(facts), "dim"))
    for change in each.plan.changes:
        yield from _change(change)
    yield from _facts(each)


def _change(change: Change, *, cost: bool = True) -> Iterator[RenderableType]:
    default = BY_KEY[change.key].default if change.key in BY_KEY else None
    mark, colour = "~", "yellow"
    if change.resets:
        mark, colour = "-", "red"
    elif change.before in (None, default):
        mark, colour = "+", "green"
    line = Text.assemble((f"  {mark} ", colour), (change.key, "bold"))
    if cost:
        line.pad_right(max(0, _KEY - len(change.key)))
        kind = change.effect.cost
        line.append(f" {kind.value:<{_COST}}", COLOURS[kind]).append(f"  {change.effect.why}")
    yield _hung(line, 5 + _KEY + _COST + 2 if cost else 6)
    if change.resets:
        why = "to its default" if change.named else "to its default (not in the file: full)"
        yield _detail("reset", why)
    yield from _details(change)


def _details(change: Change) -> Iterator[RenderableType]:
    before, after = change.before, change.after
    if isinstance(before, list) and isinstance(after, list):
        diff = list_diff(before, after, ordered=change.key not in SETS)
        yield from _items("added", "green", [_short(v) for v, _ in diff.added])
        yield from _items("removed", "red", [_short(v) for v, _ in diff.removed])
        moved = [f"{_short(v)} {old} → {new}" for v, old, new in diff.moved]
        yield from _items("moved", "yellow", moved)
        return
    found = [leaf for leaf in leaves(before, after) if leaf.before != leaf.after]
    for leaf in found[:_LEAVES_MAX]:
        if isinstance(leaf.before, list) and isinstance(leaf.after, list):
            old, new = (redacted(change.key, v, leaf.path) for v in (leaf.before, leaf.after))
            yield _detail(".".join(leaf.path), _inline(old, new))
            continue
        secret = any(is_secret(change.key, leaf.path, v) for v in (leaf.before, leaf.after))
        old, new = (
            _shown(change.key, leaf.path, value, secret=secret)
            for value in (leaf.before, leaf.after)
        )
        text = Text.assemble((old, "red"), " → ", (new, "green"))
        yield _detail(".".join(leaf.path) or "value", text)
    if len(found) > _LEAVES_MAX:
        yield _detail("", f"... and {len(found) - _LEAVES_MAX} more (-o json shows all)")


def _inline(before: list[Any], after: list[Any]) -> Text:
    """Return how a list within an object differs, in one line."""
    diff = list_diff(before, after)
    added, removed = (
        ", ".join(_short(v) for v, _ in part[:_ITEMS_MAX]) for part in (diff.added, diff.removed)
    )
    parts = [Text.assemble("added ", (added, "green"))] if added else []
    parts += [Text.assemble("removed ", (removed, "red"))] if removed else []
    return Text("; ").join(parts) if parts else Text("in another order", "yellow")


def _shown(key: str, path: tuple[str, ...], value: Any, *, secret: bool) -> str:
    if secret and value is not None:
        return value if is_reference(value) else HIDDEN
    return "none" if value is None else _short(redacted(key, value, path))


def _items(word: str, colour: str, items: list[str]) -> Iterator[RenderableType]:
    if items:
        more = len(items) - _ITEMS_MAX
        tail = f" ... and {more:,} more (-o json shows all)" if more > 0 else ""
        yield _detail(word, Text.assemble((", ".join(items[:_ITEMS_MAX]), colour), tail))


def _facts(each: Planned) -> Iterator[RenderableType]:
    made, live = each.plan, each.live
    if made.changes and not live.documents and live.documents is not None:
        yield _fact("takes", "moments: there are no documents")
    elif made.changes and made.cost is not Cost.INSTANT:
        yield _fact("takes", _takes(each))
    if not made.empty:
        yield _fact("switch", live.form)
    if live.busy:
        yield _fact("first", "; ".join(live.busy), "yellow")
    for node, keys in each.lagging.items():
        yield _fact("unknown", f"{node} does not know {', '.join(keys)}: update it", "red")
    for key in made.hidden:
        feature = f"; switch `{FEATURE_OF[key]}` on first" if key in FEATURE_OF else ""
        yield _fact("hidden", f"{key} is not shown by this server{feature}", "yellow")
    yield from _missing([each])
    for refusal in made.refusals:
        yield _fact("refused", refusal, "red")
    if made.unmanaged:
        yield _note(each, named=False)


def _takes(each: Planned) -> str:
    documents = "" if each.live.documents is None else f" of {each.live.documents:,} documents"
    if each.estimate is None and each.live.documents is None:
        remedy = "--api-key REF on Miroir, `stats.get` on a plain Meilisearch"
        return f"{each.plan.cost}: not known, as the key does not open document numbers ({remedy})"
    if each.estimate is None:
        return f"{each.plan.cost}{documents}: not known, nothing alike was done here before"
    low, high = words(each.estimate.low_s), words(each.estimate.high_s)
    span = low if low == high else f"{low} to {high}"
    return f"about {span} for {each.plan.cost}{documents}; estimate from {each.estimate.basis}"


def _missing(planned: Sequence[Planned]) -> Iterator[RenderableType]:
    names = dict.fromkeys(
        reference
        for each in planned
        for reference in (each.plan.missing or {}).values()
        if not any(reference in refusal for refusal in each.plan.refusals)
    )
    masked = dict.fromkeys(reference for each in planned for reference in each.plan.masked)
    if masked:
        said = f"compared by mask alone, --send-secrets sends them: {', '.join(masked)}"
        yield _fact("secrets", said, "dim")
    if names:
        yield _fact("secrets", f"not set, so what is in force is kept: {', '.join(names)}", "dim")


def _note(each: Planned, *, named: bool = True) -> RenderableType:
    name = f"{each.plan.index}: " if named else ""
    return _fact("left alone", f"{name}{', '.join(each.plan.unmanaged)} (not in the file)", "dim")


def _fact(word: str, text: str, colour: str = "") -> RenderableType:
    return _hung(Text.assemble((f"  {word:<11}", "dim"), (text, colour)), 13)


def _detail(word: str, text: Text | str) -> RenderableType:
    return _hung(Text.assemble((f"      {word:<8} ", "dim"), text), 15)


def _hung(line: Text, indent: int) -> RenderableType:
    """Return a line whose further lines, where it is too long, begin below its text."""
    return Hanging(line, indent)


class Hanging:
    """A paragraph with a hanging indent."""

    def __init__(self, line: Text, indent: int) -> None:
        self._line = line
        self._indent = indent

    def __rich_console__(self, console: Any, options: Any) -> Iterator[RenderableType]:
        if len(self._line) <= options.max_width or self._indent >= options.max_width // 2 + 10:
            yield self._line
            return
        head, body = self._line.divide([self._indent])
        wrapped = body.wrap(console, options.max_width - self._indent)
        for part in wrapped:
            part.rstrip()
        yield Text.assemble(head, wrapped[0])
        for more in wrapped[1:]:
            yield Padding(more, (0, 0, 0, self._indent), expand=False)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "⏎")
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 1] + "…"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"

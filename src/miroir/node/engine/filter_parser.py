"""
Filter expressions to trees, with Meilisearch's grammar and error texts.

    filter    = or END            or  = and ("OR" and)*         and = not ("AND" not)*
    not       = "NOT" not | primary
    primary   = "(" or ")" | geo filter | field operator ...

A condition that cannot be read at all is answered by the list of operators; once an operator was
recognised, what follows it must be right and errors are exact. Grammar of Meilisearch 1.50
(crates/filter-parser).

JSON arrays of filters are joined by `parse_filter`; what filters mean is `filter_eval.py`.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from miroir.node.engine.filter_geo import geo_filter, refuse_geo_as_value
from miroir.node.engine.filter_scanner import FilterSyntaxError, Scanner, Soft, shown
from miroir.node.engine.filter_tree import (
    And,
    Between,
    Compare,
    Filter,
    Foreign,
    In,
    Is,
    Not,
    Or,
    Piece,
)
from miroir.node.engine.filter_vectors import vector_filter
from miroir.node.errors import ApiError

DEPTH_MAX: Final = 150
_OPERATORS: Final = ("<=", ">=", "!=", "<", ">", "=")
_OPERATORS_SHOWN: Final = (
    "`=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT EXISTS`, `IS NULL`, "
    "`IS NOT NULL`, `IS EMPTY`, `IS NOT EMPTY`, `CONTAINS`, `NOT CONTAINS`, `STARTS WITH`, "
    "`NOT STARTS WITH`, `_geoRadius`, `_geoBoundingBox` or `_geoPolygon`"
)
_TOO_DEEP: Final = (
    "The filter exceeded the maximum depth limit. Try rewriting the filter so that it contains "
    "fewer nested conditions."
)


def parse_filter(value: Any, *, code: str) -> Filter | None:
    """
    Parse a filter of a request: a string, or an array of strings and arrays of strings.

    The outer array means AND, inner ones OR. None for an empty filter. ApiError with `code` for
    anything that is no filter.
    """
    try:
        return _of_json(value)
    except FilterSyntaxError as error:
        raise ApiError(code, str(error)) from error
    except TypeError as error:
        message = f"Invalid syntax for the filter parameter: `{error}`."
        raise ApiError(code, message) from error


def _of_json(value: Any) -> Filter | None:
    if value is None:
        return None
    if isinstance(value, str):
        return parse_expression(value)
    if not isinstance(value, list):
        raise _wrong_type("String, Array", value)
    ands: list[Filter] = []
    for item in value:
        found = _of_item(item)
        if found is not None:
            ands.append(found)
    return _joined(And, ands)


def _of_item(item: Any) -> Filter | None:
    if isinstance(item, str):
        return parse_expression(item)
    if not isinstance(item, list):
        raise _wrong_type("String, [String]", item)
    ors: list[Filter] = []
    for expression in item:
        if not isinstance(expression, str):
            raise _wrong_type("String", expression)
        found = parse_expression(expression)
        if found is not None:
            ors.append(found)
    return _joined(Or, ors)


def _wrong_type(expected: str, found: Any) -> TypeError:
    shown_value = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return TypeError(f"expected {expected}, found: {shown_value}")


def _joined(join: type[And] | type[Or], parts: list[Filter]) -> Filter | None:
    if len(parts) > 1:
        return join(tuple(parts))
    return parts[0] if parts else None


def parse_expression(text: str) -> Filter | None:
    """Parse one expression; None if it is empty, FilterSyntaxError if it is wrong."""
    if not text.strip():
        return None
    scanner = Scanner(text)
    parser = _Parser(scanner)
    try:
        found = parser.either(0)
    except Soft as soft:
        parser.not_a_condition(soft)
    if scanner.at < len(text):
        rest = scanner.rest()
        scanner.fail(
            f"Found unexpected characters at the end of the filter: `{shown(rest.raw)}`. "
            "You probably forgot an `OR` or an `AND` rule."
        )
    return found


class _Parser:
    """Recursive descent over one expression."""

    def __init__(self, scanner: Scanner) -> None:
        self._scan = scanner

    def either(self, depth: int) -> Filter:
        return self._sequence("OR", Or, self._both, depth)

    def not_a_condition(self, soft: Soft) -> NoReturn:
        """Answer with the list of operators: nothing that stands here is a condition."""
        piece = soft.piece
        found = f"at `{shown(piece.raw)}`." if piece.raw.strip() else "but instead got nothing."
        self._scan.fail(f"Was expecting an operation {_OPERATORS_SHOWN} {found}", piece)

    def _both(self, depth: int) -> Filter:
        return self._sequence("AND", And, self._negated, depth)

    def _sequence(
        self,
        keyword: str,
        join: type[And] | type[Or],
        part: Callable[[int], Filter],
        depth: int,
    ) -> Filter:
        self._check(depth)
        parts = [part(depth + 1)]
        while self._scan.whole_word(keyword):
            parts.append(self._must(part, depth + 1))
        return parts[0] if len(parts) == 1 else join(tuple(parts))

    def _negated(self, depth: int) -> Filter:
        self._check(depth)
        if not self._scan.whole_word("NOT"):
            return self._primary(depth + 1)
        inner = self._must(self._negated, depth + 1)
        return inner.inner if isinstance(inner, Not) else Not(inner)

    def _must(self, part: Callable[[int], Filter], depth: int) -> Filter:
        try:
            return part(depth)
        except Soft as soft:
            self.not_a_condition(soft)

    def _check(self, depth: int) -> None:
        if depth > DEPTH_MAX:
            self._scan.fail(_TOO_DEEP)

    def _primary(self, depth: int) -> Filter:
        scan, start = self._scan, self._scan.at
        self._check(depth)
        scan.skip_space()
        if scan.literal("("):
            scan.skip_space()
            inner = self._must(self.either, depth + 1)
            scan.skip_space()
            if not scan.literal(")"):
                piece = scan.rest(start)
                message = f"Expression `{shown(piece.raw)}` is missing the following closing"
                scan.fail(f"{message} delimiter: `)`.", piece)
            scan.skip_space()
            return inner
        found = geo_filter(scan)
        if found is not None:
            return found
        if scan.at < len(scan.whole) and (vectors := vector_filter(scan)) is not None:
            return vectors
        if scan.whole_word("_foreign"):
            if scan.rest().raw.startswith("(") or not scan.rest().raw:
                scan.context = scan.whole[start:]
                return self._foreign(depth)
            scan.at = start
            scan.skip_space()
        refuse_geo_as_value(scan)
        try:
            field = scan.value()
        except Soft as soft:
            if soft.reserved:
                scan.expected_value(soft)
            raise Soft(scan.rest(start)) from soft
        condition = self._condition(field)
        if condition is None:
            raise Soft(scan.rest(start))
        return condition

    def _foreign(self, depth: int) -> Filter:
        """Read the rest of `_foreign(field, filter)`."""
        scan, start = self._scan, self._scan.at
        if not scan.literal("("):
            self._bad_foreign(start)
        at = scan.at
        try:
            field = scan.value()
            scan.skip_space()
            at = scan.at
            if not scan.literal(","):
                self._bad_foreign(at)
            scan.skip_space()
            at = scan.at
            inner = self.either(depth + 1)
        except Soft:
            self._bad_foreign(at)
        except FilterSyntaxError as error:
            if str(error).startswith(_TOO_DEEP):
                raise
            self._bad_foreign(at)
        if not scan.literal(")"):
            self._bad_foreign(scan.at)
        return Foreign(field, inner)

    def _bad_foreign(self, at: int) -> NoReturn:
        rest = self._scan.rest(at)
        message = "Was expecting a field name and an condition inside `_foreign(..)` filter"
        self._scan.fail(f"{message} but instead found `{shown(rest.raw)}`.", rest)

    def _condition(self, field: Piece) -> Filter | None:
        """Read what follows a field name; None if it is no operator."""
        scan = self._scan
        for operator in _OPERATORS:
            keyword = scan.phrase(operator)
            if keyword is not None:
                return Compare(field, operator, self._value(), keyword)
        if scan.phrase("NOT") is not None:
            found = self._word_operator(field, must_separate=True)
            return None if found is None else Not(found)
        return self._word_operator(field, must_separate=False) or self._between(field)

    def _word_operator(self, field: Piece, *, must_separate: bool) -> Filter | None:
        scan = self._scan
        if scan.whole_word("IN"):
            return In(field, self._list())
        before = scan.at
        scan.skip_space()
        if must_separate and scan.at == before:
            return None
        if scan.phrase("EXISTS"):
            return Is(field, "EXISTS")
        for operator in ("CONTAINS", "STARTS WITH"):
            keyword = scan.phrase(operator)
            if keyword is not None:
                return Compare(field, operator, self._value(), keyword)
        return None if must_separate else self._is(field)

    def _is(self, field: Piece) -> Filter | None:
        for what in ("NULL", "EMPTY"):
            if self._scan.phrase("IS", what):
                return Is(field, f"IS {what}")
            if self._scan.phrase("IS", "NOT", what):
                return Not(Is(field, f"IS {what}"))
        return None

    def _between(self, field: Piece) -> Filter | None:
        scan = self._scan
        try:
            low = scan.value()
        except Soft:
            return None  # not a range: the caller answers with the list of operators
        if scan.phrase("TO") is None or scan.at == len(scan.whole):
            return None
        if not scan.whole[scan.at].isspace():
            return None
        return Between(field, low, self._value())

    def _value(self) -> Piece:
        refuse_geo_as_value(self._scan)
        return self._scan.must_value()

    def _list(self) -> tuple[Piece, ...]:
        scan = self._scan
        if not scan.literal("["):
            scan.fail("Expected `[` after `IN` keyword.")
        values: list[Piece] = []
        while True:
            before = scan.at
            if values:
                scan.skip_space()
                if not scan.literal(","):
                    scan.at = before
                    break
            try:
                values.append(scan.value())
            except Soft:  # the list ends here, rightly or not
                if not values:
                    scan.at = before
                break
        scan.skip_space()
        if not scan.literal("]"):
            self._bad_list()
        scan.skip_space()
        return tuple(values)

    def _bad_list(self) -> NoReturn:
        scan = self._scan
        if scan.at == len(scan.whole):
            scan.fail("Expected matching `]` after the list of field names given to `IN[`")
        message = "Expected only comma-separated field names inside `IN[..]` but instead found"
        scan.fail(f"{message} `{shown(scan.rest().raw)}`.")

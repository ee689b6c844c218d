"""Evaluates instant expressions of PromQL at one scrape: selectors, aggregations, comparisons with a number, and, or.

Prometheus' own parser reads the expression; whatever is not of these kinds is refused, never guessed.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import promql_parser as promql

Labels = frozenset[tuple[str, str]]
Values = dict[Labels, float]
Samples = Iterable[tuple[str, dict[str, str], float]]

COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, ">": operator.gt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
AGGREGATED: dict[str, Callable[[list[float]], float]] = {"max": max, "min": min, "sum": sum}


def evaluate(expression: str, samples: Samples) -> Values:
    """Return the value by labels of each series that an expression gives.

    Parameters
    ----------
    samples
        ``(name, labels, value)`` of the scrape.
    """
    return _value(promql.parse(expression), samples)


def _value(node: Any, samples: Samples) -> Values:
    match node:
        case promql.ParenExpr():
            return _value(node.expr, samples)
        case promql.VectorSelector():
            return {
                frozenset(labels.items()): value
                for name, labels, value in samples
                if name == node.name and all(_is_matched(labels, matcher) for matcher in node.matchers.matchers)
            }
        case promql.AggregateExpr():
            return _aggregated(node, _value(node.expr, samples))
        case promql.BinaryExpr() if str(node.op) in COMPARED and isinstance(node.rhs, promql.NumberLiteral):
            is_so = COMPARED[str(node.op)]
            return {labels: value for labels, value in _value(node.lhs, samples).items() if is_so(value, node.rhs.val)}
        case promql.BinaryExpr() if str(node.op) == "and":
            others = _value(node.rhs, samples)
            return {labels: value for labels, value in _value(node.lhs, samples).items() if labels in others}
        case promql.BinaryExpr() if str(node.op) == "or":
            return _value(node.rhs, samples) | _value(node.lhs, samples)
    raise NotImplementedError(f"This evaluator does not know {type(node).__name__} of {node.prettify()}.")


def _is_matched(labels: dict[str, str], matcher: Any) -> bool:
    kind = str(matcher.op)
    if kind not in {"MatchOp.Equal", "MatchOp.NotEqual"}:
        raise NotImplementedError(f"This evaluator does not know the match {kind}.")
    is_equal: bool = labels.get(matcher.name, "") == matcher.value
    return is_equal == (kind == "MatchOp.Equal")


def _aggregated(node: Any, values: Values) -> Values:
    kept = set(node.modifier.labels) if node.modifier else set()
    groups: dict[Labels, list[float]] = {}
    for labels, value in values.items():
        groups.setdefault(frozenset(pair for pair in labels if pair[0] in kept), []).append(value)
    # As in Prometheus, NaN is taken only where there is nothing else.
    return {
        labels: AGGREGATED[str(node.op)]([one for one in found if one == one] or found)  # noqa: PLR0124
        for labels, found in groups.items()
    }

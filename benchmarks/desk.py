"""The decision engine of the desk: time of a decision, of its receipt, and of making it again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.report import Topic
from benchmarks.timing import timed
from serving.desk import DecisionInputs, DeskLimits, DeskRules, DeskSituation, Vote, receipt_of, replay_receipt

DECISIONS, STRATEGIES = 10_000, 6
CLOSE = datetime(2013, 1, 2, 21, tzinfo=UTC)


def measure() -> Topic:
    """Time decisions on drawn votes and books, and compare each with what its receipt gives."""
    chance = np.random.default_rng(65)
    drawn = [_inputs(chance, n) for n in range(DECISIONS)]
    receipts = [(each.decide(), each) for each in drawn]
    decided = [timed(each.decide) for each in drawn]
    sealed = [timed(lambda made=made, decision=decision: receipt_of(made, decision)) for decision, made in receipts]
    texts = [(decision.decision_id, *receipt_of(made, decision)) for decision, made in receipts]
    again = [timed(lambda text=text: replay_receipt(*text)) for text in texts]
    equal = sum(replay_receipt(*text).verdict == "equal" for text in texts)
    measured = {"a decision": decided, "its receipt, sealed": sealed, "making it again from its receipt": again}
    return Topic(
        title="Decisions of the desk",
        text=f"{DECISIONS:,} decisions on {STRATEGIES} votes and 6 rules, with drawn books and weights.",
        header=("what", "median, ms", "p99, ms"),
        rows=tuple(
            (what, *(f"{1e3 * np.quantile(times, part):.2f}" for part in (0.5, 0.99)))
            for what, times in measured.items()
        ),
        notes=(f"{equal:,} of {DECISIONS:,} were equal to the last bit when made again.",),
    )


def _inputs(chance: np.random.Generator, number: int) -> DecisionInputs:
    targets, weights = chance.uniform(-1, 1, STRATEGIES), chance.dirichlet(np.ones(STRATEGIES))
    names = [f"strategy:s{n}" for n in range(STRATEGIES)]
    expires = CLOSE + timedelta(days=1)
    votes = tuple(
        Vote(name, "strategy", float(target), 0.6, expires, "1", "drawn")
        for name, target in zip(names, targets, strict=True)
    )
    book = DeskSituation("paper", f"S{number}", CLOSE, CLOSE, 0.0, 45.0, float(chance.uniform(5, 500)), 1e6, 0.8, 0.04)
    book = replace(book, held=float(chance.integers(-500, 500)))
    shares = {name: float(weight) for name, weight in zip(names, weights, strict=True)}
    return DecisionInputs(votes, book, DeskRules(), DeskLimits(), shares, {})

"""Degradation of an online read: a kind that is carried to the answer and to the metric, and a sentence beside it."""

from datetime import UTC, datetime

import pytest
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from feature_repo.online.answers import Served
from feature_repo.online.degradation import Degradation, DegradationKind
from feature_repo.online.generations import Generation
from feature_repo.online.source import PackedRowSource, UnreachableError
from lake.settings import Settings
from serving.monitoring import metrics

LABELS = {"refused", "timeout", "failed", "left_alone", "empty", "unverified", "unusable"}
"""Values of the label `reason` of the metric, as dashboards and alerts know them."""


def test_the_kinds_are_the_labels_of_the_metric() -> None:
    assert {kind.value for kind in DegradationKind} - {"recorded"} == LABELS
    assert all(label in metrics.DEGRADED._documentation for label in LABELS)


@pytest.mark.parametrize("kind", DegradationKind)
def test_forecasts_are_counted_by_kind_whatever_the_sentence_says(kind: DegradationKind) -> None:
    child = metrics.DEGRADED.labels(kind.value)
    before = child._value.get()
    metrics.count_degraded(Degradation(kind, "Redis did not answer; it refused the connection and is empty"), 3)
    assert child._value.get() - before == 3


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (ConnectionRefusedError("no"), DegradationKind.REFUSED, "refused the connection"),
        (RedisTimeoutError("late"), DegradationKind.TIMEOUT, "did not answer within"),
        (TimeoutError("late"), DegradationKind.TIMEOUT, "did not answer within"),
        (ResponseError("LOADING"), DegradationKind.FAILED, "failed after"),
    ],
)
def test_an_error_of_the_connection_becomes_a_kind(
    settings: Settings, error: Exception, kind: DegradationKind, sentence: str
) -> None:
    source = PackedRowSource(settings)

    def question() -> None:
        raise error

    for _ in range(3):
        with pytest.raises(UnreachableError, match=sentence) as raised:
            source._ask(question, 1)
        assert raised.value.degradation == Degradation(kind, str(raised.value))
    with pytest.raises(UnreachableError, match="left alone for a moment") as raised:
        source._ask(question, 1)
    assert raised.value.degradation.kind is DegradationKind.LEFT_ALONE


def test_an_answer_renders_its_degradation() -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC)
    fresh = Served("redis", None, at, at, at, Generation(1))
    stood_in = Served("snapshot", Degradation(DegradationKind.EMPTY, "Redis is empty"), at, at, at, Generation(1))
    assert (fresh.is_degraded, fresh.reason) == (False, "")
    assert (stood_in.is_degraded, stood_in.reason) == (True, "Redis is empty")

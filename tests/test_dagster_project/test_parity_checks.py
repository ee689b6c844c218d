"""The parity asset: its report, and that a difference stops what comes after it and is no longer served."""

from datetime import datetime

import dagster as dg
import pytest

from dagster_project.checks.parity import CHECK, feature_parity
from dagster_project.resources import Platform
from feature_repo import online
from feature_repo.online.parity import ParityDifference, ParityReport
from lake.clock import DEMO_START

GOOD = ParityReport(DEMO_START, {"bars": 1}, {"technical": 2}, {"technical": 48}, ())
BAD = ParityReport(
    DEMO_START,
    {"bars": 1},
    {"technical": 2},
    {"technical": 48},
    (ParityDifference("technical", "rsi_14", 1, 0, 0, ("AAA: 1.0 instead of 2.0",)),),
)


@dg.asset(deps=[feature_parity])
def served() -> None:
    """Whatever must not go on when the stores differ."""


@dg.asset
def online_store() -> None:
    """Stands for the asset of that name."""


def run(monkeypatch: pytest.MonkeyPatch, report: ParityReport) -> tuple[dg.ExecuteInProcessResult, list[datetime]]:
    withdrawn: list = []
    monkeypatch.setattr(online, "compare_stores", lambda *_: report)
    monkeypatch.setattr(online, "withdraw", lambda *_: withdrawn.append(True))
    result = dg.materialize(
        [online_store, feature_parity, served], resources={"platform": Platform()}, raise_on_error=False
    )
    return result, withdrawn


def test_equal_stores_let_the_run_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    result, withdrawn = run(monkeypatch, GOOD)
    assert result.success
    assert not withdrawn
    assert len(result.asset_materializations_for_node("served")) == 1


def test_a_difference_is_reported_blocks_what_follows_and_is_no_longer_served(monkeypatch: pytest.MonkeyPatch) -> None:
    result, withdrawn = run(monkeypatch, BAD)
    assert not result.success
    assert withdrawn == [True]
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.metadata["mismatch"].value) == (CHECK, False, 1)
    assert check.description == (
        "1 of 48 values differ from the lake's, in 1 feature, the first rsi_14 of technical: AAA: 1.0 instead of 2.0. "
        "None of them is served any more. Next: `quantlake update`."
    )
    (made,) = result.asset_materializations_for_node("feature_parity")
    (row,) = made.metadata["differences"].value.records
    assert "AAA: 1.0 instead of 2.0" in row.data.values()
    assert not result.asset_materializations_for_node("served")

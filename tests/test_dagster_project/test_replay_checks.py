"""The nightly sample of forecasts where there is nothing to draw from."""

import dagster as dg

from dagster_project.checks.replay import replayed_forecasts
from dagster_project.resources import Platform
from lake.settings import settings as read_settings


@dg.asset
def forecasts() -> None:
    """Stands for the asset of that name."""


def test_without_any_forecast_it_passes_and_says_so(settings, monkeypatch):
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    read_settings.cache_clear()
    try:
        done = dg.materialize([forecasts, replayed_forecasts], resources={"platform": Platform()})
    finally:
        read_settings.cache_clear()
    (check,) = done.get_asset_check_evaluations()
    assert (check.passed, check.description) == (True, "There is no forecast yet.")

"""A desk that ran for some sessions, to read only."""

from dataclasses import dataclass

import pytest

from lake.settings import Settings
from lake.store import Lake
from serving.desk import DeskAccount
from support.backtests import closes_of
from support.desks import desk_home, opened_desk, run_sessions

FIRST, SESSIONS = 30, 8


@dataclass(frozen=True)
class RanDesk:
    settings: Settings
    lake: Lake
    account: DeskAccount


@pytest.fixture(scope="package")
def ran(tmp_path_factory: pytest.TempPathFactory) -> RanDesk:
    """Return a home whose desk ran at eight closes."""
    settings = Settings(home=tmp_path_factory.mktemp("desk") / "home")
    lake = desk_home(settings)
    account = opened_desk(settings, lake, closes_of(lake)[FIRST])
    run_sessions(lake, settings, FIRST, SESSIONS)
    return RanDesk(settings, lake, account)

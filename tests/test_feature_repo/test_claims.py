"""A server of one's own holds the values of one market."""

from pathlib import Path

import pytest

from feature_repo.online import require_own_server
from feature_repo.online.claims import CLAIM
from lake.errors import OnlineStoreError
from lake.market import Market
from lake.settings import Settings


class Server(dict[str, bytes]):
    """As much of Redis as is asked."""

    def set(self, name: str, value: str, *, nx: bool) -> None:
        if not nx or name not in self:
            self[name] = value.encode()


def home_of(folder: Path, name: str, url: str | None = "redis://localhost/0") -> Settings:
    if name != "demo":
        Market(name, source="file").write(folder / name)
    return Settings(home=folder / name, redis_url=url)


def test_the_first_market_holds_the_server_and_another_is_refused(tmp_path: Path) -> None:
    server, desk = Server(), home_of(tmp_path, "desk")
    require_own_server(desk, server)
    require_own_server(desk, server)
    for other in ("demo", "fund"):
        message = f"values of the market 'desk', and this home is of '{other}'.*REDIS_URL=redis://.../1"
        with pytest.raises(OnlineStoreError, match=message):
            require_own_server(home_of(tmp_path, other), server)
    assert server == {CLAIM: b"desk"}


def test_the_server_of_a_home_is_not_asked(tmp_path: Path) -> None:
    server = Server({CLAIM: b"desk"})
    require_own_server(home_of(tmp_path, "demo", None), server)

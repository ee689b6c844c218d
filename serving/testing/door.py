"""For tests of what lies behind the door: the key of a home's own programs, and a client that shows it."""

from typing import TYPE_CHECKING

from serving.access.keys import local_key

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from lake.settings import Settings

LOCAL = "http://127.0.0.1"
"""Address under which tests ask an application in their own process: it refuses names that are not its own."""


def headers_of(settings: "Settings") -> dict[str, str]:
    """Headers that show the local key of a home, which is made if need be."""
    return {"authorization": f"Bearer {local_key(settings)}"}


def token_of(settings: "Settings") -> str:
    """Return a token in the place of the local key of a home."""
    from serving.access.checks import Access

    access = Access(settings)
    caller = access.find(local_key(settings))
    assert caller is not None
    return access.issue(caller)


def client_of(app: "FastAPI", settings: "Settings | None" = None) -> "TestClient":
    """Return a client of an application in this process that shows the local key of its home.

    Parameters
    ----------
    settings
        Home whose keys count; by default that of the predictor in service.
    """
    from starlette.testclient import TestClient

    from serving.access.checks import Access

    home = settings or app.state.predictor.logged.configured
    if settings is not None:
        app.state.access = Access(settings)
    return TestClient(app, LOCAL, raise_server_exceptions=False, headers=headers_of(home))

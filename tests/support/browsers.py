"""Fixtures of browser tests: Chromium, a dashboard as users start it, and pages whose complaints fail a test."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from support.services import NO_AUTHORITIES
from support.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from lake.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
READY = "html[data-ready]"
Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium of this machine. It is closed with the module: its event loop would be in the way of other tests'."""
    if not CHROMIUM:
        reason = "no Chromium on this machine: make browser"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(watched_home: Any) -> "Iterator[Settings]":
    """Settings of a dashboard beside its endpoint."""
    with dashboard_process(watched_home.settings):
        yield watched_home.settings


@pytest.fixture(scope="module")
def signed_in(site: "Settings", browser: "Browser") -> Any:
    """State of a browser that opened the link of the terminal."""
    return signed_in_at(site, browser)


@pytest.fixture
def visit(site: "Settings", browser: "Browser", signed_in: Any) -> Iterator[Visit]:
    """Open pages of the dashboard, see `visiting_pages`."""
    with visiting_pages(site, browser, signed_in) as opened:
        yield opened


@contextmanager
def dashboard_process(settings: "Settings") -> Iterator[None]:
    """Run a dashboard as users start it, a process of its own, while a block lasts."""
    from serving.pages import dashboard_address, dashboard_command
    from serving.processes import tied
    from serving.supervision import serve_environment

    address = f"{dashboard_address(settings)}/login"
    process = subprocess.Popen(dashboard_command(), **tied(serve_environment(settings)))
    try:
        until(lambda: process.poll() is not None or _answers(address), "the dashboard did not start")
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(60)


def signed_in_at(settings: "Settings", browser: "Browser") -> Any:
    """Return the state of a browser that opened the link of the terminal."""
    from serving.pages import login_link

    context = browser.new_context()
    page = context.new_page()
    page.goto(login_link(settings))
    assert page.title().startswith("Watch list")
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def visiting_pages(settings: "Settings", browser: "Browser", state: Any) -> Iterator[Visit]:
    """Open pages, each in a context of its own; what the browser complains of fails the test at the end of the block.

    ``opened(path, is_signed_in=True, may_fail=False, **options)``: options are those of a browser context, and a page
    that may fail may report its own status to the console.
    """
    from serving.pages import dashboard_address

    own = (f"{dashboard_address(settings)}/", "data:")
    complaints, contexts = list[str](), list[Any]()

    def opened(path: str = "/", *, is_signed_in: bool = True, may_fail: bool = False, **options: Any) -> "Page":
        options |= {"storage_state": state} if is_signed_in else {}
        context = browser.new_context(base_url=dashboard_address(settings), **options)
        contexts.append(context)
        page = context.new_page()
        if not may_fail:
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(own) else complaints.append(asked.url))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def violations(page: "Page") -> list[str]:
    """Return what axe finds on a page: the rule, and the first element that breaks it."""
    from axe_playwright_python.sync_playwright import Axe

    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in Axe().run(page).response["violations"]]


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, verify=NO_AUTHORITIES).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False

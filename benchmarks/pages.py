"""The dashboard in Chromium over a real endpoint: first paint, bytes, layout, panning, liveness, what-if, and a soak.

``python -m benchmarks.pages MINUTES`` soaks for longer than the usual three minutes.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from benchmarks.pages_soak import CORES, VIEW_MS, Soak, soak
from benchmarks.report import RATIO, Figure, Topic, write_results
from benchmarks.serving import started
from dagster_project.servers import running_dashboard
from feature_repo.online.redis_server import running_redis
from lake.errors import NotReadyError
from lake.settings import Settings, settings
from serving.access import local_key
from serving.client import Client
from serving.pages import dashboard_address, login_link

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPENED, TOLD, MOVED, EXPLAINED = 10, 12, 40, 50
"""Cold visits, forecasts that pages are told of, moves of a slider, and explanations asked for again."""
SOAK_MINUTES = 3.0
CHROMIUM = ("/usr/bin/chromium", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
WATCH = """
window.shifted = 0;
new PerformanceObserver((list) => list.getEntries().forEach((each) => (window.shifted += each.value)))
    .observe({ type: "layout-shift", buffered: true });
new MutationObserver(() => {
    if (document.querySelector("#chart[data-ready]")) window.usable ??= performance.now();
    if (document.querySelector("[data-live='news'] a")) window.toldAt ??= Date.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FRAMES = """() => new Promise((resolve) => {
    const times = [];
    const step = () => { times.push(performance.now()); window.panned ? resolve(times) : requestAnimationFrame(step); };
    window.panned = false;
    requestAnimationFrame(step);
})"""
MOVE = """(range) => new Promise((resolve) => {
    const began = performance.now();
    range.value = (Number(range.value) + 7) % (Number(range.max) + 1);
    range.dispatchEvent(new Event("input"));
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
})"""


def measure(configured: Settings | None = None, soak_minutes: float = SOAK_MINUTES) -> Topic:
    """Start endpoint and dashboard on the home of the settings, and visit its pages."""
    configured = configured or settings()
    with ExitStack() as stack:
        stack.enter_context(running_redis(configured))
        address = stack.enter_context(started(configured))
        process = stack.enter_context(running_dashboard(configured))
        browser = stack.enter_context(_chromium())
        state = _signed_in(browser, configured)
        symbols = _symbols(configured)
        visits = [_cold_visit(browser, configured, state, f"/s/{symbols[0]}") for _ in range(OPENED)]
        lists = [_cold_visit(browser, configured, state, "/") for _ in range(OPENED)]
        frames = _panned(browser, configured, state, f"/s/{symbols[0]}")
        told = _told(browser, configured, state, symbols)
        moved = _moved(browser, configured, state, symbols[0])
        cached = _explained_again(configured, address, symbols)
        soaked = soak(configured, browser, state, process.pid, symbols, soak_minutes)
    bytes_, requests = (max(visit[name] for visit in visits) for name in ("bytes", "requests"))
    figures = [
        Figure("U1 first paint of the watch list, p95 / 300 ms", 300.0, _p95(lists, "painted"), 1.0),
        Figure("U1 first paint of a symbol, p95 / 300 ms", 300.0, _p95(visits, "painted"), 1.0),
        Figure("U2 symbol page usable, p95 / 1,000 ms", 1_000.0, _p95(visits, "usable"), 1.0),
        Figure("U3 sent for the symbol page, compressed / 250 kB", 250.0, bytes_ / 1e3, 1.0, unit="kB"),
        Figure("U3 requests / 12", 12.0, requests, 1.0, unit=""),
        Figure(
            "U4 layout shift, the largest / 0.05",
            0.05,
            max(each["shifted"] for each in (*visits, *lists)),
            1.0,
            unit="",
        ),
        Figure("U4 frame while panning, p95 / 60 ms", 60.0, _percentile(frames), 1.0),
        Figure("U5 forecast made -> on the page, p95 / 250 ms", 250.0, _percentile(told), 1.0),
        Figure("U6 slider -> new band, p95 / 300 ms", 300.0, _percentile(moved), 1.0),
        Figure("U7 explanation asked for again over HTTP, p95 / 50 ms", 50.0, _percentile(cached), 1.0),
        *_of_soak(soaked),
    ]
    foreign = sorted({host for visit in (*visits, *lists) for host in visit["hosts"]} - {_host(configured)})
    notes = (
        f"foreign hosts asked: {', '.join(foreign) or 'none'}",
        f"a symbol: first paint p50 {_p50(visits, 'painted'):.0f} ms, usable p50 {_p50(visits, 'usable'):.0f} ms",
        f"made -> on the page p50 {np.median(told):.0f} ms over {len(told)} forecasts, each on a page just opened",
        "a page that told of another forecast less than five seconds before tells of the next one after those",
        "U6: the points of a slider were computed with the page and are on it; the slider chooses one",
        *soaked.notes,
        "the first fast explanation of a forecast is measured by the topic Explanations; U8, the jobs, is not measured",
    )
    text = (
        f"Headless Chromium with software rendering, endpoint and dashboard share the machine. Each of {OPENED} "
        f"visits begins with an empty cache. Soak: {soaked.streams} streams, {soaked.per_second:.0f} views "
        f"a second for {soak_minutes:g} minutes."
    )
    return Topic("Pages", text, RATIO, tuple(figure.to_row() for figure in figures), notes)


def _of_soak(soaked: Soak) -> list[Figure]:
    return [
        Figure("U9 cores of the dashboard in the soak / 1", CORES, soaked.cores, 1.0, unit=""),
        Figure(
            "U9 views a second in the soak / 50",
            soaked.per_second,
            soaked.views.rate,
            1.0,
            more_is_better=True,
            unit="",
        ),
        Figure("U9 view in the soak, p99 / 200 ms", VIEW_MS, soaked.views.percentile(99), 1.0),
        Figure("U9 heap of an open page after the soak, more / 20 MB", 20.0, soaked.heap_megabytes, 1.0, unit="MB"),
        Figure(
            "U9 memory of the dashboard after the first views / at the end",
            soaked.before_mib,
            soaked.after_mib,
            1.05,
            unit="MiB",
        ),
    ]


@contextmanager
def _chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    path, *options = CHROMIUM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def _signed_in(browser: "Browser", configured: Settings) -> Any:
    context = browser.new_context()
    context.new_page().goto(login_link(configured))
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def _page(browser: "Browser", configured: Settings, state: Any) -> "Iterator[Page]":
    """Open an empty page of a context of its own, with nothing cached."""
    context = browser.new_context(base_url=dashboard_address(configured), storage_state=state)
    context.add_init_script(WATCH)
    yield context.new_page()
    context.close()


def _cold_visit(browser: "Browser", configured: Settings, state: Any, path: str) -> dict[str, Any]:
    """Open a page, and return times in milliseconds, bytes, requests and hosts."""
    with _page(browser, configured, state) as page:
        network, hosts, sizes = page.context.new_cdp_session(page), list[str](), list[float]()
        network.send("Network.enable")
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.on("request", lambda asked: None if asked.url.startswith("data:") else hosts.append(_host_of(asked.url)))
        page.goto(path)
        page.locator("html[data-ready]").wait_for()
        if path.startswith("/s/"):
            page.locator("#chart[data-ready] canvas").first.wait_for()
        page.wait_for_function(f"() => {PAINTED}")
        usable, shifted = page.evaluate("[window.usable, window.shifted]")
        painted = page.evaluate(PAINTED)
    told = {"painted": painted, "usable": usable, "shifted": shifted}
    return told | {"bytes": sum(sizes), "requests": len(hosts), "hosts": set(hosts)}


def _panned(browser: "Browser", configured: Settings, state: Any, path: str) -> list[float]:
    """Drag the chart to and fro, and return the milliseconds between frames."""
    with _page(browser, configured, state) as page:
        page.goto(path)
        page.locator("#chart[data-ready] canvas").first.wait_for()
        box = page.locator("#chart").bounding_box()
        assert box is not None
        before = page.locator("#chart").screenshot()
        page.evaluate(f"() => {{ window.frames_ = ({FRAMES})(); }}")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(120):
            page.mouse.move(x + 200 * np.sin(step / 10), y)
        page.mouse.up()
        times = page.evaluate("() => { window.panned = true; return window.frames_; }")
        if page.locator("#chart").screenshot() == before:
            raise NotReadyError(
                "The chart did not move while it was dragged, so its frames say nothing. Look at the page."
            )
    return np.diff(times).tolist()


def _told(browser: "Browser", configured: Settings, state: Any, symbols: Sequence[str]) -> list[float]:
    """Milliseconds from when a forecast was made to its line on a page, each on a page that was just opened."""
    found = []
    with Client.local(configured) as client:
        for number in range(TOLD):
            symbol = symbols[number % len(symbols)]
            with _page(browser, configured, state) as page:
                page.goto(f"/s/{symbol}")
                page.locator("[data-live='state']:text-is('live')").wait_for()
                made = client.predict(symbol).made_at
                page.wait_for_function("() => window.toldAt")
                found.append(page.evaluate("window.toldAt") - 1e3 * made.timestamp())
    return found


def _moved(browser: "Browser", configured: Settings, state: Any, symbol: str) -> list[float]:
    """Milliseconds from a move of a slider to the next frame, which shows the new band."""
    with _page(browser, configured, state) as page:
        page.goto(f"/s/{symbol}/why")
        sliders = page.locator("input[data-sweep]")
        sliders.first.wait_for()
        return [sliders.nth(number % sliders.count()).evaluate(MOVE) for number in range(MOVED)]


def _explained_again(configured: Settings, address: str, symbols: Sequence[str]) -> list[float]:
    """Milliseconds of explanations that were asked for before."""
    found = []
    headers = {"x-api-key": local_key(configured)}
    with httpx.Client(base_url=f"{address}/api/v1/public", headers=headers, timeout=60) as client:
        for number in range(EXPLAINED):
            symbol = symbols[number % len(symbols)]
            made = client.post("/predict", json={"symbol": symbol, "horizon_sessions": 1}).raise_for_status().json()
            question = {"prediction_id": made["prediction_id"], "explanation_type": "fast"}
            client.post("/explain/prediction", json=question).raise_for_status()
            began = time.perf_counter()
            client.post("/explain/prediction", json=question).raise_for_status()
            found.append((time.perf_counter() - began) * 1e3)
    return found


def _symbols(configured: Settings) -> list[str]:
    with Client.local(configured) as client:
        return [each.symbol for each in client.symbols().symbols if each.has_model_input]


def _percentile(values: Sequence[float], q: float = 95) -> float:
    return float(np.percentile(values, q))


def _p95(visits: Sequence[dict[str, Any]], name: str) -> float:
    return _percentile([visit[name] for visit in visits])


def _p50(visits: Sequence[dict[str, Any]], name: str) -> float:
    return _percentile([visit[name] for visit in visits], 50)


def _host(configured: Settings) -> str:
    return _host_of(dashboard_address(configured))


def _host_of(url: str) -> str:
    return httpx.URL(url).netloc.decode()


if __name__ == "__main__":
    write_results(measure(soak_minutes=float(sys.argv[1])))

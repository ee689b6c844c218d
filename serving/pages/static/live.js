// New forecasts as they are stored: a line names the newest, and its link shows it below, as the server renders it.

import { panelOf } from "./panel.js";

const QUIET_MS = 5_000;
const NOT_LIVE = "not live";

/** Follow the stream of a place while its page is looked at: a browser has few connections for all of its pages. */
function follow(place) {
  const [state, news, panel] = ["state", "news", "panel"].map((name) => place.querySelector(`[data-live="${name}"]`));
  let source;
  let newest;
  let timer;
  let toldAt = -QUIET_MS;

  async function show(event) {
    event.preventDefault();
    try {
      panel.replaceChildren(await panelOf(event.currentTarget.href, "[aria-labelledby='r-forecast']"));
    } catch {
      panel.textContent = "The dashboard did not answer. Try again.";
    }
  }

  /** Tell of the newest forecast; a screen reader is not interrupted more often than every five seconds. */
  function tell() {
    timer = undefined;
    toldAt = performance.now();
    const { said, receipt } = JSON.parse(newest.data);
    const link = document.createElement("a");
    link.href = receipt;
    link.textContent = "show";
    link.addEventListener("click", show);
    news.replaceChildren(`${said} – `, link);
  }

  function hear(event) {
    newest = event;
    timer ??= setTimeout(tell, Math.max(0, toldAt + QUIET_MS - performance.now()));
  }

  function open() {
    const after = newest ? `&after=${encodeURIComponent(newest.lastEventId)}` : "";
    source = new EventSource(place.dataset.stream + after);
    source.addEventListener("state", (event) => (state.textContent = event.data));
    source.addEventListener("forecast", hear);
    source.addEventListener("error", () => {
      state.textContent = source.readyState === EventSource.CLOSED ? `${NOT_LIVE}: reload the page` : NOT_LIVE;
    });
  }

  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
}

for (const place of document.querySelectorAll("[data-stream]")) follow(place);

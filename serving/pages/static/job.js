// A job under way: its panel is fetched anew until the job has ended.

import { panelOf } from "./panel.js";

const LOOK_MS = 1_000;

/** Replace the panel after a moment, and again while its job is under way. A page that is not looked at rests. */
function look() {
  const place = document.querySelector("#job[data-polled]");
  if (!place) return;
  setTimeout(async () => {
    try {
      if (!document.hidden) place.replaceWith(await panelOf(location.href, "#job"));
    } catch {
      // the dashboard is away for now: the panel stays, and is asked for again
    }
    look();
  }, LOOK_MS);
}

look();

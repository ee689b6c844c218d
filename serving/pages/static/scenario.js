// The form of another last bar: its answer takes the place of the panel, and the page stays where it is.

import { panelOf } from "./panel.js";

const PANEL = "#scenario";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const place = form.closest(PANEL);
  if (!place) return;
  event.preventDefault();
  place.setAttribute("aria-busy", "true");
  form.querySelector("button").textContent = "Computing …";
  const asked = new URLSearchParams(new FormData(form));
  try {
    const panel = await panelOf(`${form.action.split("#")[0]}?${asked}`, PANEL);
    place.replaceWith(panel);
    panel.querySelector("[data-answer]")?.focus();
  } catch {
    form.submit(); // the page as a whole says what is wrong
  }
});

// Panels that take a moment: the link to their page is replaced by the panel of that page.

import { panelOf } from "./panel.js";
import "./scenario.js";
import { sliders } from "./what_if.js";

async function load(place) {
  const link = place.querySelector("a");
  place.replaceChildren(await panelOf(link.href, place.dataset.fragment));
  sliders(place);
  place.dataset.ready = "true";
}

for (const place of document.querySelectorAll("[data-fragment]")) {
  place.querySelector("a").addEventListener("click", (event) => {
    event.preventDefault();
    place.querySelector("a").textContent = "Computing …";
    load(place).catch(() => place.append("The endpoint did not answer. Reload the page to try again."));
  });
}

// What every page does with JavaScript that it also does without: the slider, keys, and the copy button.

/** Go to the session at a place of the slider; the last place is live. */
function lookBack(sessions, place) {
  const address = new URL(location.href);
  if (place >= sessions.length - 1) address.searchParams.delete("as_of");
  else address.searchParams.set("as_of", sessions[place]);
  location.assign(address);
}

function slider() {
  const panel = document.querySelector(".asof");
  const range = document.getElementById("slider");
  if (!panel || !range) return;
  const sessions = panel.dataset.sessions.split(" ").filter(Boolean);
  if (sessions.length < 2) return;
  const known = document.getElementById("known");
  const name = () => (Number(range.value) >= sessions.length - 1 ? "live" : sessions[Number(range.value)]);
  range.hidden = false;
  range.setAttribute("aria-valuetext", name());
  range.addEventListener("input", () => {
    range.setAttribute("aria-valuetext", name());
    known.textContent = name();
  });
  range.addEventListener("change", () => lookBack(sessions, Number(range.value)));
}

function keys() {
  document.addEventListener("keydown", (event) => {
    const inside = event.target.closest("input, textarea, select");
    if (inside || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      event.preventDefault();
      const search = document.getElementById("search");
      search.focus();
      search.select();
    }
    const step = { "[": "prev", "]": "next" }[event.key];
    const link = step && document.querySelector(`.asof a[rel="${step}"]`);
    if (link) link.click();
  });
}

function copying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected, copy with Ctrl-C";
      }
    });
  }
}

slider();
keys();
copying();
document.documentElement.dataset.ready = "true";

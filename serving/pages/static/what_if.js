// The sliders of WHAT IF: each point was computed and printed by the server, a slider only chooses one.

export function sliders(root = document) {
  const source = root.querySelector("#sweeps");
  if (!source) return;
  const sweeps = JSON.parse(source.textContent);
  for (const range of root.querySelectorAll("[data-sweep]")) {
    range.parentElement.hidden = false;
    const points = sweeps[Number(range.dataset.sweep)];
    const told = range.parentElement.querySelector("output");
    range.addEventListener("input", () => {
      const point = points[Number(range.value)];
      told.textContent = `${point.to} → ${point.median}, ${point.low} … ${point.high}`;
      range.setAttribute("aria-valuetext", told.textContent);
    });
  }
}

sliders();

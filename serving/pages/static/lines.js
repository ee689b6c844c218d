// Lines over time by uPlot; the table of the page has the same numbers.

const PAINTS = ["up", "down", "ink", "soft", "amber"];
const DASHES = [[], [6, 3], [2, 2], [10, 3, 2, 3], [1, 4]];

function draw(place, data) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
  place.replaceChildren();
  return new window.uPlot(
    {
      width: place.clientWidth,
      height: 180,
      cursor: { show: false },
      // Shares fill the axis from 0 to 1; with `range` null it fits the lines.
      scales: { y: data.range === null ? {} : { range: [0, 1] } },
      axes: [axis, { ...axis, values: (_, splits) => splits.map((value) => `${Math.round(100 * value)} %`) }],
      series: [
        {},
        ...data.series.map((each, place_) => ({
          label: each.name,
          stroke: colour(PAINTS[place_ % PAINTS.length]),
          dash: DASHES[place_ % DASHES.length],
          width: 1.5,
          points: { show: false },
        })),
      ],
      legend: { live: false },
    },
    [data.times, ...data.series.map((each) => each.values)],
    place,
  );
}

const source = document.getElementById("lines-data");
if (source) {
  const place = document.getElementById("lines");
  const data = JSON.parse(source.textContent);
  const again = () => draw(place, data);
  again();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  place.dataset.ready = "true";
}

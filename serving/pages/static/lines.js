// Lines over time by uPlot; the table of the page has the same numbers.

const PAINTS = ["up", "down", "ink", "soft", "amber"];
const DASHES = [[], [6, 3], [2, 2], [10, 3, 2, 3], [1, 4]];

/** Shares in percent, with as many digits as tell neighbours apart. @param {number[]} shares */
function percents(shares) {
  const step = shares.length > 1 ? Math.abs(100 * (shares[1] - shares[0])) : 1;
  const digits = step > 0 ? Math.min(Math.max(Math.ceil(-Math.log10(step)), 0), 4) : 0;
  return shares.map((share) => `${(100 * share).toFixed(digits)} %`);
}

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
      axes: [axis, { ...axis, size: 64, values: (_, splits) => percents(splits) }],
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

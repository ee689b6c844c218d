// The price chart: a line of closes with forecast bands behind it; the table of the page has the same numbers.

import { LineSeries, createChart } from "./vendor/lightweight-charts-5.2.1.mjs";
import { Bands } from "./band.js";

const SHOWN = 120;

/** Colours of the style sheet, which follow the theme. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "ink", "soft", "line", "up", "down", "band", "ghost"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function options(hasMinutes) {
  const paint = colours();
  const font = getComputedStyle(document.body).fontFamily;
  return {
    layout: { background: { color: paint.ground }, textColor: paint.soft, fontFamily: font, attributionLogo: false },
    grid: { vertLines: { visible: false }, horzLines: { color: paint.line } },
    rightPriceScale: { borderColor: paint.line },
    timeScale: { borderColor: paint.line, timeVisible: hasMinutes, secondsVisible: false, rightOffset: 2 },
    crosshair: { vertLine: { color: paint.soft }, horzLine: { color: paint.soft } },
    autoSize: true,
  };
}

function draw(place, data) {
  place.replaceChildren();
  const gap = data.closes.length > 1 ? data.closes[1].time - data.closes[0].time : 86400;
  const hasMinutes = gap < 80000;
  const chart = createChart(place, options(hasMinutes));
  const line = chart.addSeries(LineSeries, { color: colours().ink, lineWidth: 1.5, priceLineVisible: false });
  const future = data.ahead ? [{ time: data.ahead.until }] : [];
  line.setData([...data.closes, ...future.filter((point) => point.time > data.closes.at(-1).time)]);
  const bands = new Bands(data, colours);
  line.attachPrimitive(bands);
  chart.timeScale().setVisibleLogicalRange({ from: data.closes.length - SHOWN, to: data.closes.length + 6 });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    chart.applyOptions(options(hasMinutes));
    line.applyOptions({ color: colours().ink });
  });
  return bands;
}

function toggles(bands) {
  document.getElementById("toggles").hidden = false;
  for (const [name, member] of [["ghosts", "showsGhosts"], ["inside", "showsOutcomes"]]) {
    document.getElementById(name).addEventListener("change", (event) => {
      bands[member] = event.target.checked;
      bands.requestUpdate();
    });
  }
}

const source = document.getElementById("chart-data");
if (source) {
  const place = document.getElementById("chart");
  const bands = draw(place, JSON.parse(source.textContent));
  toggles(bands);
  place.dataset.ready = "true";
}

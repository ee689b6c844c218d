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

/** Whether bars lie less than a day apart. */
function isOfMinutes(closes) {
  return closes.length > 1 && closes[1].time - closes[0].time < 80000;
}

function draw(place, data) {
  place.replaceChildren();
  const hasMinutes = isOfMinutes(data.closes);
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
  return { chart, line, bands };
}

/** Let the arrows move a cross-hair from bar to bar, and say where it stands. */
function keys(place, { chart, line }, closes) {
  const told = document.getElementById("chart-at");
  document.getElementById("chart-keys").hidden = false;
  let at = closes.length;
  place.closest("figure").addEventListener("keydown", (event) => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: closes.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    at = Math.min(Math.max(to, 0), closes.length - 1);
    const { time, value } = closes[at];
    const range = chart.timeScale().getVisibleLogicalRange();
    const shift = at < range.from ? at - range.from : Math.max(at - range.to, 0);
    if (shift) chart.timeScale().setVisibleLogicalRange({ from: range.from + shift, to: range.to + shift });
    chart.setCrosshairPosition(value, time, line);
    const when = new Date(1000 * time).toISOString().replace("T", " ").slice(0, isOfMinutes(closes) ? 16 : 10);
    told.textContent = `${when}: ${value.toFixed(2)}`;
  });
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
  const data = JSON.parse(source.textContent);
  const drawn = draw(place, data);
  toggles(drawn.bands);
  keys(place, drawn, data.closes);
  place.dataset.ready = "true";
}

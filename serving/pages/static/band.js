// A series primitive that draws forecast bands: the one ahead as a fan, past ones where they ended.

/** @typedef {{since: number, until: number, start: number, low: number, middle: number, high: number, inside: boolean | null}} Band */

export class Bands {
  /** @param {{ahead: Band | null, ghosts: Band[]}} data @param {() => Record<string, string>} colours */
  constructor(data, colours) {
    this.data = data;
    this.colours = colours;
    this.showsGhosts = true;
    this.showsOutcomes = false;
  }

  attached({ chart, series, requestUpdate }) {
    this.chart = chart;
    this.series = series;
    this.requestUpdate = requestUpdate;
  }

  updateAllViews() {}

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => target.useMediaCoordinateSpace((scope) => this.draw(scope.context)) }) }];
  }

  /** Let the price scale hold the band ahead. */
  autoscaleInfo() {
    const band = this.data.ahead;
    return band && { priceRange: { minValue: band.low, maxValue: band.high } };
  }

  draw(context) {
    const x = (time) => this.chart.timeScale().timeToCoordinate(time);
    const y = (price) => this.series.priceToCoordinate(price);
    const colours = this.colours();
    if (this.showsGhosts) this.drawGhosts(context, x, y, colours);
    const band = this.data.ahead;
    const [from, to] = band ? [x(band.since), x(band.until)] : [null, null];
    if (from === null || to === null) return;
    const width = Math.max(to - from, 6);
    context.fillStyle = colours.band;
    context.beginPath();
    context.moveTo(from, y(band.start));
    context.lineTo(from + width, y(band.high));
    context.lineTo(from + width, y(band.low));
    context.fill();
    context.strokeStyle = colours.up;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(from, y(band.start));
    context.lineTo(from + width, y(band.middle));
    context.moveTo(from + width, y(band.high));
    context.lineTo(from + width, y(band.low));
    context.stroke();
  }

  drawGhosts(context, x, y, colours) {
    const half = Math.max(this.chart.timeScale().options().barSpacing * 0.35, 0.5);
    for (const band of this.data.ghosts) {
      const at = x(band.until);
      if (at === null) continue;
      const isMissed = this.showsOutcomes && band.inside === false;
      context.fillStyle = isMissed ? colours.down : colours.ghost;
      context.fillRect(at - half, y(band.high), 2 * half, y(band.low) - y(band.high));
    }
  }
}

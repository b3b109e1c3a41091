"use strict";
(function () {
  function digits(value, precision = 4) {
    if (value == null) return "–";
    const size = Math.abs(value);
    if (size && (size < 1e-3 || size >= 1e7)) return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
    return Number(value.toPrecision(precision)).toString();
  }
  // As many digits as tell the values of a chart apart, four at least.
  function precisionOf(lists) {
    const values = lists.flat().filter((v) => v != null);
    const high = Math.max(...values), low = Math.min(...values), size = Math.max(Math.abs(high), Math.abs(low));
    if (!values.length || !size || high === low) return 4;
    return Math.min(9, Math.max(4, Math.ceil(Math.log10(size / (high - low))) + 4));
  }
  // On a logarithmic axis the lines of the powers of ten, or all of them where there are fewer than two.
  // and of many orders of magnitude every second, third, ... one, so that their numbers stand apart.
  function powers(u, splits) {
    const order = (v) => Math.round(1e9 * Math.log10(v)) / 1e9;
    const kept = splits.map((v) => (v != null && Number.isInteger(order(v)) ? v : null));
    const count = kept.filter((v) => v != null).length, step = Math.ceil(count / 8);
    if (count < 2) return splits;
    return kept.map((v) => (v != null && order(v) % step === 0 ? v : null));
  }
  // Numbers of an axis all have one form: 0.0015, 0.001, 0.0005, and powers of ten where they are large.
  function numbers(ticks) {
    const sizes = ticks.filter((v) => v != null).map(Math.abs), largest = Math.max(...sizes);
    const precision = precisionOf([ticks]);
    return ticks.map((v) => {
      if (v == null) return "";
      if (largest >= 1e7) return v ? v.toExponential(1).replace(".0e", "e").replace("e+", "e") : "0";
      if (largest >= 1e-4 && Math.abs(v) >= 1e-4) return Number(v.toPrecision(precision)).toString();
      return digits(v, precision);
    });
  }
  // Text over curves, with a rim of the paper around it.
  function written(ctx, text, x, y, ratio) {
    ctx.save();
    ctx.setLineDash([]); ctx.lineJoin = "round"; ctx.lineWidth = 4 * ratio; ctx.strokeStyle = colourOf("--paper");
    ctx.strokeText(text, x, y);
    ctx.restore();
    ctx.fillText(text, x, y);
  }
  // By night lines are lighter, as the pictures are; black is the colour of the letters.
  const night = matchMedia("(prefers-color-scheme: dark)");
  const shown = (line) => (line.colour === "#000000" ? colourOf("--ink") : night.matches ? line.night : line.colour);
  const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // One series for each line, and two that are not in the legend for the ends of its band.
  function seriesOf(chart) {
    const series = [{ label: chart.xLabel, value: (u, v) => digits(v, precisionOf([chart.x])) }];
    const precision = precisionOf(chart.series.map((line) => line.values));
    const columns = [chart.x], bands = [], edgesOf = {};
    for (const line of chart.series) {
      const shape = line.dots ? { paths: () => null, points: { show: true, size: 6, width: 0, fill: () => shown(line) } } : {};
      const single = line.values.filter((v) => v != null).length === 1;
      series.push({
        label: line.label, stroke: () => shown(line), width: 1.6, dash: line.dash, spanGaps: true,
        points: { show: single }, value: (u, v) => digits(v, precision), ...shape,
      });
      columns.push(line.values);
      const position = series.length - 1;
      if (line.low && line.high) {
        for (const edge of [line.high, line.low]) {
          series.push({ label: "", class: "edge", stroke: "transparent", spanGaps: true, points: { show: false } });
          columns.push(edge);
        }
        bands.push({ series: [position + 1, position + 2], fill: () => shown(line) + (night.matches ? "40" : "26") });
        edgesOf[position] = [position + 1, position + 2];
      }
    }
    return { series, columns, bands, edgesOf };
  }

  // A dotted line at a step, a dashed one at a value, each with its text.
  function marks(chart) {
    return (u) => {
      const ctx = u.ctx, ratio = devicePixelRatio || 1, { left, top, width, height } = u.bbox;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colourOf("--dim");
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      if (chart.at) {
        const x = u.valToPos(chart.at[0], "x", true);
        if (x >= left && x <= left + width) {
          ctx.setLineDash([2 * ratio, 3 * ratio]);
          ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, top + height); ctx.stroke();
          const right = x > left + width / 2;
          ctx.textAlign = right ? "right" : "left";
          written(ctx, chart.at[1], x + (right ? -4 : 4) * ratio, top + 10 * ratio, ratio);
        }
      }
      if (chart.level) {
        const y = u.valToPos(chart.level[0], "y", true);
        if (y >= top && y <= top + height) {
          ctx.setLineDash([6 * ratio, 4 * ratio]);
          ctx.beginPath(); ctx.moveTo(left, y); ctx.lineTo(left + width, y); ctx.stroke();
          ctx.textAlign = "left";  // where curves begin, they are far from what is usual at their end
          written(ctx, chart.level[1], left + 4 * ratio, y + 12 * ratio, ratio);
        }
      }
      ctx.restore();
    };
  }

  function draw(place, chart) {
    const { series, columns, bands, edgesOf } = seriesOf(chart);
    const axis = (label) => ({
      label, stroke: () => colourOf("--dim"), grid: { stroke: () => colourOf("--line"), width: 1 },
      ticks: { stroke: () => colourOf("--line"), width: 1 }, font: "11px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif", labelSize: 20,
    });
    const filter = chart.log ? { filter: powers } : {}, gridY = { stroke: () => colourOf("--line"), width: 1, ...filter };
    // Where points share an x, uPlot would leave out those at the very edges: a margin keeps them inside.
    const first = chart.x[0], last = chart.x[chart.x.length - 1], margin = 0.02 * (last - first || Math.abs(last) || 1);
    const dotted = chart.series.some((line) => line.dots);
    const x = { time: false, ...(dotted ? { range: () => [first - margin, last + margin] } : {}) };
    const y = { ...axis(chart.yLabel), ...filter, grid: gridY, size: 58, values: (u, ticks) => numbers(ticks) };
    const window_ = chart.window ? { range: () => chart.window } : {};
    const whole = chart.whole ? { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] } : {};
    const size = () => ({ width: place.clientWidth, height: Math.max(220, Math.min(360, place.clientWidth * 0.6)) });
    const plot = new uPlot({
      ...size(), series, bands, scales: { x, y: { ...(chart.log ? { distr: 3 } : {}), ...window_ } },
      axes: [{ ...axis(chart.xLabel), ...whole }, y], cursor: { focus: { prox: 24 }, drag: { x: true, y: false } }, focus: { alpha: 0.35 },
      hooks: {
        draw: [marks(chart)],
        setSeries: [(u, i, options) => {
          if (options.show != null && edgesOf[i]) for (const edge of edgesOf[i]) u.setSeries(edge, { show: options.show });
        }],
      },
    }, columns, place);
    let drawnAt = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== drawnAt) { drawnAt = place.clientWidth; plot.setSize(size()); }
    }).observe(place);
    night.addEventListener("change", () => plot.redraw(false, true));
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".chart")) {
      draw(place, JSON.parse(place.querySelector("script").textContent));
    }
  });
})();

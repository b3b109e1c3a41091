"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const figure of document.querySelectorAll(".parallel")) {
    const svg = figure.querySelector("svg"), picked = figure.querySelector(".picked");
    const grips = [...svg.querySelectorAll(".grip")], ranges = grips.map(() => null);
    const lines = [...svg.querySelectorAll("path")].map((path) => ({
      path,
      text: path.querySelector("title").textContent,
      heights: path.getAttribute("d").slice(1).split(" L").map((point) => Number(point.split(" ")[1])),
    }));
    const inside = (line) => ranges.every((r, i) => !r || (line.heights[i] >= r.low - 0.5 && line.heights[i] <= r.high + 0.5));
    let under = null;

    function paint() {
      const kept = lines.filter(inside), filtered = ranges.some((r) => r);
      for (const line of lines) {
        line.path.classList.toggle("on", line === under);
        line.path.classList.toggle("off", line !== under && (under !== null || (filtered && !inside(line))));
      }
      picked.textContent = under ? under.text : filtered ? `${kept.length} of ${lines.length} trials` : "";
    }

    const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());

    // The line nearest to the pointer between two axes, if it is near.
    function nearest(event) {
      const at = place(event), axes = grips.map((grip) => grip.x.baseVal.value + grip.width.baseVal.value / 2);
      const i = axes.findIndex((x, k) => k + 1 < axes.length && at.x >= x && at.x <= axes[k + 1]);
      if (i < 0) return null;
      const share = (at.x - axes[i]) / (axes[i + 1] - axes[i]);
      const away = (line) => Math.abs(line.heights[i] + share * (line.heights[i + 1] - line.heights[i]) - at.y);
      const near = lines.filter(inside).sort((a, b) => away(a) - away(b))[0];
      return near && away(near) < 12 ? near : null;
    }

    svg.addEventListener("pointermove", (event) => { under = nearest(event); paint(); });
    svg.addEventListener("pointerdown", (event) => { under = nearest(event); paint(); });
    svg.addEventListener("pointerleave", () => { under = null; paint(); });

    grips.forEach((grip, i) => {
      const shade = grip.cloneNode();
      shade.setAttribute("class", "range");
      shade.setAttribute("height", 0);
      svg.append(shade);
      let start = null;
      grip.addEventListener("pointerdown", (event) => { start = place(event).y; grip.setPointerCapture(event.pointerId); });
      grip.addEventListener("pointermove", (event) => {
        if (start === null) return;
        const end = place(event).y;
        ranges[i] = Math.abs(end - start) > 4 ? { low: Math.min(start, end), high: Math.max(start, end) } : null;
        shade.setAttribute("y", ranges[i] ? ranges[i].low : 0);
        shade.setAttribute("height", ranges[i] ? ranges[i].high - ranges[i].low : 0);
      });
      grip.addEventListener("pointerup", (event) => {
        if (start !== null && Math.abs(place(event).y - start) <= 4) { ranges[i] = null; shade.setAttribute("height", 0); }
        start = null;
        paint();
      });
    });
  }
});

// charts.js - draws what page.hpp describes. One function, no state beyond the charts, which
// are drawn again when the width or the colour scheme changes.
"use strict";
const steadyData = JSON.parse(document.getElementById("data").textContent);

const steadyUnits = (() => {
  const digits = (v) => (v >= 100 || v === 0 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  const scaled = (v, steps) => {
    const size = Math.abs(v);
    let pick = steps[0];
    for (const s of steps) if (size >= s[0]) pick = s;
    return digits(v / pick[0]) + " " + pick[1];
  };
  return {
    nanoseconds: (v) => scaled(v, [[1, "ns"], [1e3, "µs"], [1e6, "ms"], [1e9, "s"]]),
    bytes: (v) => scaled(v, [[1, "B"], [1024, "KiB"], [1048576, "MiB"], [1073741824, "GiB"]]),
    percent: (v) => digits(v) + " %",
    ratio: (v) => digits(v),
    number: (v) => (v >= 1e6 ? digits(v / 1e6) + " M" : v >= 1e4 ? digits(v / 1e3) + " k" : String(+v.toFixed(3))),
    // The axis is 1 / (1 - fraction): 10 is 90 %, 100 is 99 %.
    percentile: (v) => {
      const decades = Math.max(0, Math.round(Math.log10(v)) - 2);
      return v <= 1 ? "0 %" : (100 - 100 / v).toFixed(Math.min(6, decades)) + " %";
    },
  };
})();

function steadyChart(target, spec) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const narrow = target.clientWidth < 560;
  const x = spec.x, y = spec.y;
  const show = (unit) => steadyUnits[unit] || steadyUnits.number;
  const clean = (values, log) => values.map((v) => (v === null || v < 0 || (log && v <= 0) ? null : v));
  const data = [spec.values, ...spec.lines.map((l) => clean(l.values, y.log))];
  const decades = (u, splits) => splits.map((v) => (v > 0 && Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9 ? v : null));
  const binary = Array.from({ length: 50 }, (_, i) => 2 ** i);
  const everyOther = (u, splits) => decades(u, splits).map((v) => (narrow && v !== null && Math.round(Math.log10(v)) % 2 !== 0 ? null : v));
  const axis = (which, scale) => ({
    scale, stroke: colour("--quiet"), font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif",
    label: scale === "y" && narrow ? undefined : which.label, labelSize: 18,
    grid: { stroke: colour("--line"), width: 1, ...(which.log ? { filter: decades } : {}) },
    ticks: { stroke: colour("--line"), width: 1, ...(which.log ? { filter: decades } : {}) },
    values: (u, splits) => splits.map((v) => (v === null || v === undefined ? "" : show(which.unit)(v))),
    ...(which.log ? { filter: scale === "x" ? everyOther : decades } : {}),
    ...(which.unit === "bytes" && !which.log ? { incrs: binary } : {}),
    ...(scale === "y" ? { size: narrow ? 60 : 66 } : { space: narrow ? 60 : 80 }),
  });
  const options = {
    width: target.clientWidth, height: narrow ? 260 : 360, padding: [10, narrow ? 16 : 30, 0, 0],
    scales: {
      x: { time: false, ...(x.log ? { distr: 3, log: 10 } : {}) },
      y: y.log ? { distr: 3, log: 10 } : { range: (u, least, most) => [0, most > 0 ? most * 1.06 : 1] },
    },
    axes: [axis(x, "x"), axis(y, "y")],
    series: [
      { label: x.label, value: (u, v) => (v === null || v === undefined ? "" : show(x.unit)(v)) },
      ...spec.lines.map((l, i) => ({
        label: l.name, stroke: colour("--c" + ((l.colour ?? i) % 7)), width: l.width ?? 1.5,
        ...(l.dash ? { dash: [5, 4] } : {}), ...(l.steps ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
        spanGaps: l.gaps !== true, points: { show: spec.points === true },
        value: (u, v) => (v === null || v === undefined ? "" : show(y.unit)(v)),
      })),
    ],
    legend: { markers: { width: 0, fill: (u, i) => u.series[i].stroke() } },
    cursor: { points: { size: 6 } },
  };
  target.replaceChildren();
  return new uPlot(options, data, target);
}

function steadyCharts() {
  for (const target of document.querySelectorAll("[data-chart]")) {
    const spec = (steadyData.charts || {})[target.dataset.chart];
    if (spec) steadyChart(target, spec);
  }
}

// Buttons of one row choose what a chart or a panel shows:
//   <div class="tabs" data-tabs="ID"> with <button data-show="NAME">
function steadyTabs() {
  for (const row of document.querySelectorAll("[data-tabs]")) {
    row.addEventListener("click", (event) => {
      const name = event.target.dataset.show;
      if (!name) return;
      for (const b of row.querySelectorAll("button")) b.setAttribute("aria-pressed", String(b === event.target));
      const target = document.getElementById(row.dataset.tabs);
      if (target.dataset.chart !== undefined) {
        target.dataset.chart = name;
        steadyChart(target, steadyData.charts[name]);
      } else {
        for (const panel of target.children) panel.hidden = panel.dataset.panel !== name;
      }
    });
  }
}

steadyCharts();
steadyTabs();
let steadyWidth = document.documentElement.clientWidth;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === steadyWidth) return;
  steadyWidth = document.documentElement.clientWidth;
  steadyCharts();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", steadyCharts);

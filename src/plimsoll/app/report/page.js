"use strict";
// The buttons are listed because the default ones include an upload.
const OPTIONS = {
  responsive: true,
  displaylogo: false,
  displayModeBar: "hover",
  doubleClick: "reset",
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};
const charts = [...document.querySelectorAll(".chart")];
const timed = charts.filter((chart) => "sharesTime" in chart.dataset);

for (const chart of charts) {
  const { data, layout } = JSON.parse(document.getElementById(`${chart.id}-data`).textContent);
  Plotly.newPlot(chart, data, layout, OPTIONS);
}

// A zoom in one chart of time is a zoom in all; equal ranges end the echo.
for (const source of timed) {
  source.on("plotly_relayout", () => {
    const range = source.layout.xaxis.range;
    for (const chart of timed) {
      if (String(chart.layout.xaxis.range) !== String(range)) {
        Plotly.relayout(chart, { "xaxis.range": [...range] });
      }
    }
  });
}

// Paper has a width of its own: A4 less the margins of @page, in CSS pixels.
const PAPER_WIDTH = 714;
const setWidth = (size) => charts.forEach((chart) => Plotly.relayout(chart, size));
addEventListener("beforeprint", () => setWidth({ width: PAPER_WIDTH }));
addEventListener("afterprint", () => setWidth({ width: null, autosize: true }));

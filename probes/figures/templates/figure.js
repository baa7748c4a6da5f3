"use strict";
const { id, traces, layout, config } = JSON.parse(document.getElementById("data").textContent);
const plot = document.getElementById(id);
if (typeof Plotly === "undefined") {
  plot.textContent = "This page draws with plotly.min.js, which lies beside it: keep the two together.";
} else {
  Plotly.newPlot(plot, traces, layout, config);
}

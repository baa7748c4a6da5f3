"use strict";
// Draws the plots of the report. Whatever a text holds, it reaches the page as text: through
// textContent, or through forPlotly where plotly reads a label.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const PLOTS = read("plots");
const MAP = read("map-data");
const CONFIG = { displaylogo: false, responsive: false, typesetMath: false };
const root = document.documentElement;

const forPlotly = (text) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\$/g, "&#36;");

// Theme ------------------------------------------------------------------------------------------

const systemDark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
const isDark = () =>
  !printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

// Colors that belong to the page rather than to the data, and what they become in the dark.
const IN_THE_DARK = {
  [MAP.colors.ink]: "#e6edf3",
  [MAP.colors.soft]: "#a3adb8",
  [MAP.colors.rule]: "#3a434e",
  [MAP.colors.muted]: "#6b7580",
  "#555555": "#b5bcc4",
  "#0072b2": "#3d9bd6",
  "#7e57c2": "#a98ae0",
  "#8c4a1f": "#bf7d4d",
  white: "#1b212a",
};
const themed = (value) => {
  if (!isDark()) return value;
  if (typeof value === "string") return IN_THE_DARK[value] ?? value;
  if (Array.isArray(value)) return value.map(themed);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, themed(item)]));
  return value;
};
const paper = () => ({ paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" });

// Figures ----------------------------------------------------------------------------------------

const PAPER_WIDTH = 690; // pixels, of a plot on A4 or Letter
const PAPER_MAP_HEIGHT = 480; // as in the style sheet
const LEAST_HEIGHT = 440; // pixels, of a figure of named points
const NARROW = 640; // pixels, of a window as the style sheet has it

function drawFigure(place) {
  const { data, layout, least, wide, most, names } = PLOTS[place.dataset.plot];
  const room = Math.min(place.parentElement.clientWidth, most ?? Infinity);
  const width = printing ? PAPER_WIDTH : (wide ?? Math.max(room, least));
  place.style.width = `${width}px`;
  const shape = { ...themed(layout), ...paper(), width };
  if (printing && wide) shape.height = (layout.height * PAPER_WIDTH) / wide;
  if (names) {
    shape.height = Math.max(LEAST_HEIGHT, (layout.height * width) / most);
    if (width < NARROW) shape.margin = MARGIN;
  }
  Plotly.react(place, themed(data), shape, CONFIG);
  if (names) writeNames(place, names, themed(data), shape);
  reachable(place.parentElement);
}

// Beside the points, where the plot that was drawn has room for them.
function writeNames(place, { text, x, y, size }, points, shape) {
  const { xaxis, yaxis, _size } = place._fullLayout;
  const sides = labelSides(text, x, y, xaxis.range, yaxis.range, _size.w, _size.h);
  const shown = text.map((_, index) => index).filter((index) => sides[index]);
  const names = {
    type: "scatter", mode: "markers+text", hoverinfo: "skip", showlegend: false,
    marker: { size: 11, opacity: 0 }, textfont: { size }, // keeps the text at the distance of its point
    x: shown.map((index) => x[index]), y: shown.map((index) => y[index]),
    text: shown.map((index) => forPlotly(text[index])),
    textposition: shown.map((index) => sides[index]),
  };
  Plotly.react(place, [...points, names], shape, CONFIG);
  tellNames(place, text.length - shown.length, text.length);
}

function tellNames(place, missing, all) {
  const figure = place.closest("figure");
  const caption = figure.querySelector("figcaption");
  place.dataset.caption ??= caption.textContent;
  const note = ` There is no room for ${missing} of ${all} names: point at a dot to read its name.`;
  caption.textContent = place.dataset.caption + (missing ? note : "");
  const title = figure.querySelector("h3, h4").textContent;
  place.setAttribute("aria-label", `${title}. ${caption.textContent}`);
}

function reachable(box) {
  // What scrolls sideways must be reachable with the keyboard.
  if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    const named = box.closest("figure")?.querySelector("h3, h4") ?? box.querySelector("caption");
    box.setAttribute("aria-label", `${named ? named.textContent : "Table"} (scrolls)`);
  } else {
    box.removeAttribute("tabindex");
    box.removeAttribute("role");
    box.removeAttribute("aria-label");
  }
}

// Map --------------------------------------------------------------------------------------------

const mapPlot = document.getElementById("map-plot");
const layerSlider = document.getElementById("layer");
const emotionBox = document.getElementById("emotion");
const NAMES = MAP.emotions;
// Plotly's names, and the same shapes for the key, in a box of 16.
const SHAPES = {
  circle: "M8 2a6 6 0 1 0 .01 0z",
  square: "M2.5 2.5h11v11h-11z",
  diamond: "M8 1l7 7-7 7-7-7z",
  "triangle-up": "M8 2l6.5 11h-13z",
  "triangle-down": "M8 14l6.5-11h-13z",
  cross: "M6 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
};
const SYMBOLS = Object.keys(SHAPES);
const MARGIN = { l: 62, r: 20, t: 12, b: 58 };
const rated = MAP.valence.some((value) => value !== null);
const own = MAP.clusters && MAP.cluster_names.map((name, group) => `Cluster ${group + 1} (${name})`);
const GROUPS = {
  cluster: MAP.clusters && { of: MAP.clusters, names: own },
  paper: MAP.paper,
};
const rank = [];
MAP.order.forEach((index, place) => (rank[index] = place));
const coloring = MAP.crowded && MAP.paper ? "paper" : rated ? "valence" : "cluster";
const state = { kind: "pca", color: coloring, layer: MAP.target, chosen: 0 };
const view = { x: null, y: null };

const clusterColor = (group) => themed(MAP.colors.categories[group % MAP.colors.categories.length]);
const clusterSymbol = (group) =>
  SYMBOLS[Math.floor(group / MAP.colors.categories.length + group) % SYMBOLS.length];

function points() {
  if (state.kind === "umap")
    return { x: MAP.umap.map((point) => point[0]), y: MAP.umap.map((point) => point[1]) };
  return { x: MAP.x[state.layer], y: MAP.y[state.layer] };
}

function ends(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = 0.08 * (high - low) || 1;
  return [low - room, high + room];
}

// Give each name the first side on which it overlaps no other name and no point; else leave it out.
// `across` and `down` are the pixels of the plot; the chosen point, if any, is named first, then
// those of a low `rank`.
function labelSides(names, x, y, xRange, yRange, across, down, chosen = -1, rank = null) {
  const px = x.map((value) => ((value - xRange[0]) / (xRange[1] - xRange[0])) * across);
  const py = y.map((value) => ((yRange[1] - value) / (yRange[1] - yRange[0])) * down);
  const inside = (index) => px[index] >= 0 && px[index] <= across && py[index] >= 0 && py[index] <= down;
  const taken = px.map((left, index) => [left - 6, py[index] - 6, left + 6, py[index] + 6]);
  const clear = (box, own) =>
    box[0] >= 0 && box[2] <= across && box[1] >= 0 && box[3] <= down &&
    taken.every((other, index) =>
      index === own || other[2] <= box[0] || other[0] >= box[2] || other[3] <= box[1] || other[1] >= box[3]);
  const order = names.map((_, index) => index).sort((one, other) =>
    Number(other === chosen) - Number(one === chosen) || (rank ? rank[one] - rank[other] : one - other));
  const sides = names.map(() => null);
  for (const index of order) {
    if (!inside(index)) continue;
    const w = 7.3 * names[index].length + 4;
    const gap = index === chosen ? 11 : 8; // the chosen point is larger
    const options = {
      "middle right": [px[index] + gap, py[index] - 8],
      "middle left": [px[index] - gap - w, py[index] - 8],
      "top center": [px[index] - w / 2, py[index] - 24],
      "bottom center": [px[index] - w / 2, py[index] + 8],
      "top right": [px[index] + 3, py[index] - 22],
      "top left": [px[index] - 3 - w, py[index] - 22],
      "bottom right": [px[index] + 3, py[index] + 6],
      "bottom left": [px[index] - 3 - w, py[index] + 6],
    };
    for (const [side, [left, top]] of Object.entries(options)) {
      const box = [left, top, left + w, top + 16];
      if (clear(box, index)) {
        sides[index] = side;
        taken.push(box);
        break;
      }
    }
  }
  return sides;
}

function describe(index) {
  const lines = [];
  const near = MAP.neighbors[state.layer][index];
  if (MAP.clusters) {
    const group = MAP.clusters[index];
    lines.push(["Cluster", `${group + 1} (${MAP.cluster_names[group]})`]);
  }
  if (MAP.paper) lines.push(["Paper's cluster", MAP.paper.names[MAP.paper.of[index]]]);
  if (MAP.valence[index] !== null)
    lines.push(["Human ratings", `valence ${MAP.valence[index].toFixed(2)}, arousal ${MAP.arousal[index].toFixed(2)}`]);
  lines.push([
    `Nearest at layer ${MAP.layers[state.layer]}`,
    near.map(([other, cosine]) => `${NAMES[other]} (${cosine.toFixed(2)})`).join(", "),
  ]);
  lines.push(["Words it points to", MAP.tokens[index].join(", ")]);
  return [...lines, ...(MAP.facts[index] ?? [])];
}

function hoverText(index) {
  const lines = describe(index).filter(([name]) => name !== "Story").map(([name, value]) => `${forPlotly(name)}: ${forPlotly(value)}`);
  return [`<b>${forPlotly(NAMES[index])}</b>`, ...lines].join("<br>");
}

function showAbout() {
  const about = document.getElementById("about");
  about.replaceChildren();
  const title = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = NAMES[state.chosen];
  title.append(strong);
  about.append(title);
  for (const [name, value] of describe(state.chosen)) {
    const line = document.createElement("p");
    const what = document.createElement("span");
    what.className = "what";
    what.textContent = `${name}: `;
    line.append(what, value);
    about.append(line);
  }
}

function marker() {
  const edge = themed(MAP.colors.ink);
  const shared = {
    opacity: 1, // plotly makes markers of several sizes translucent
    size: NAMES.map((_, index) => (index === state.chosen ? 15 : 10)),
    line: { color: edge, width: NAMES.map((_, index) => (index === state.chosen ? 3 : 0.7)) },
  };
  const groups = GROUPS[state.color];
  if (groups) return { ...shared, color: groups.of.map(clusterColor), symbol: groups.of.map(clusterSymbol) };
  const stops = MAP.colors.pleasantness;
  return {
    ...shared,
    color: MAP.valence.map((value) => {
      if (value === null) return themed(MAP.colors.soft);
      return stops[Math.round(((value + 1) / 2) * (stops.length - 1))];
    }),
    symbol: MAP.valence.map((value) => (value === null ? "circle-open" : "circle")),
  };
}

function drawMap(keepView) {
  const { x, y } = points();
  if (!keepView || !view.x) [view.x, view.y] = [ends(x), ends(y)];
  const width = printing ? PAPER_WIDTH : mapPlot.clientWidth;
  const height = printing ? PAPER_MAP_HEIGHT : mapPlot.clientHeight;
  const [across, down] = [width - MARGIN.l - MARGIN.r, height - MARGIN.t - MARGIN.b];
  const sides = labelSides(NAMES, x, y, view.x, view.y, across, down, state.chosen, rank);
  const font = { family: "DejaVu Sans, Verdana, sans-serif", size: 12, color: themed(MAP.colors.ink) };
  const pca = state.kind === "pca";
  const axis = (label, range) => ({
    title: { text: forPlotly(label), standoff: 8 }, range, zeroline: pca, showgrid: false,
    zerolinecolor: themed(MAP.colors.rule), linecolor: themed(MAP.colors.soft), showline: true,
    showticklabels: pca, ticks: "", tickfont: { size: 11 },
  });
  const shown = NAMES.map((_, index) => index).filter((index) => sides[index]);
  const traces = [
    {
      type: "scatter", x, y, mode: "markers", cliponaxis: false, marker: marker(),
      hovertext: NAMES.map((_, index) => hoverText(index)), hoverinfo: "text",
    },
    // A trace of its own: plotly loses the text of a point that had none for a while.
    {
      type: "scatter", mode: "markers+text", cliponaxis: false, hoverinfo: "skip",
      // Keeps the text at the distance of its point.
      marker: { size: shown.map((index) => (index === state.chosen ? 16 : 10)), opacity: 0 },
      x: shown.map((index) => x[index]), y: shown.map((index) => y[index]),
      text: shown.map((index) => forPlotly(NAMES[index])),
      textposition: shown.map((index) => sides[index]),
      ids: shown.map(String),
    },
  ];
  const layout = {
    width, height, margin: MARGIN, font, showlegend: false, dragmode: width < 640 ? "pan" : "zoom",
    hoverlabel: { bgcolor: themed("white"), bordercolor: themed(MAP.colors.soft), font, align: "left" },
    xaxis: axis(pca ? MAP.x_label[state.layer] : "UMAP 1 (no unit)", view.x),
    yaxis: axis(pca ? MAP.y_label[state.layer] : "UMAP 2 (no unit)", view.y),
    ...paper(),
  };
  Plotly.react(mapPlot, traces, layout, CONFIG);
}

function drawSymbol(color, symbol) {
  const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
  const dot = svg("svg");
  dot.setAttribute("class", "dot");
  dot.setAttribute("viewBox", "0 0 16 16");
  dot.setAttribute("aria-hidden", "true");
  dot.dataset.symbol = symbol;
  const path = svg("path");
  path.setAttribute("d", SHAPES[symbol]);
  path.setAttribute("fill", color);
  dot.append(path);
  return dot;
}

// Below the map: what the colors and shapes mean.
function showKey() {
  const box = document.getElementById("families");
  box.replaceChildren();
  const list = document.createElement("ul");
  const entry = (color, text, symbol = "circle") => {
    const item = document.createElement("li");
    item.append(drawSymbol(color, symbol), text);
    list.append(item);
  };
  const groups = GROUPS[state.color];
  if (groups) {
    groups.names.forEach((name, group) => {
      const members = NAMES.filter((_, index) => groups.of[index] === group);
      entry(clusterColor(group), `${name}: ${members.join(", ")}`, clusterSymbol(group));
    });
  } else {
    const stops = MAP.colors.pleasantness;
    entry(stops[0], "rated most unpleasant");
    entry(stops[(stops.length - 1) / 2], "rated in the middle");
    entry(stops[stops.length - 1], "rated most pleasant");
    if (MAP.valence.includes(null)) entry("transparent", "nobody rated it (empty circle)");
  }
  box.append(list);
}

function choose(index) {
  state.chosen = index;
  emotionBox.value = NAMES[index];
  history.replaceState(null, "", `#emotion=${encodeURIComponent(NAMES[index])}`);
  showAbout();
  drawMap(true);
}

// Who has typed a part of a name means the only emotion that begins so.
function typed() {
  const wanted = emotionBox.value.trim().toLowerCase();
  const begin = NAMES.map((_, index) => index).filter((index) => NAMES[index].toLowerCase().startsWith(wanted));
  const exact = begin.find((index) => NAMES[index].toLowerCase() === wanted);
  const index = exact ?? (wanted && begin.length === 1 ? begin[0] : undefined);
  if (index !== undefined && index !== state.chosen) choose(index);
}

function startMap() {
  document.getElementById("controls").hidden = false;
  const colors = [...document.querySelectorAll('input[name="color"]')];
  for (const input of colors) {
    input.checked = input.value === state.color;
    if (input.value === "valence" && !rated) input.disabled = true;
    input.addEventListener("change", () => {
      state.color = input.value;
      drawMap(true);
      showKey();
    });
  }
  for (const input of document.querySelectorAll('input[name="kind"]'))
    input.addEventListener("change", () => {
      state.kind = input.value;
      layerSlider.disabled = state.kind === "umap"; // UMAP was made for one layer
      if (state.kind === "umap") setLayer(MAP.target);
      drawMap(false);
    });
  layerSlider.addEventListener("input", () => {
    setLayer(Number(layerSlider.value));
    drawMap(false);
  });
  emotionBox.value = NAMES[state.chosen];
  emotionBox.addEventListener("input", typed);
  drawMap(false);
  showAbout();
  showKey();
  mapPlot.on("plotly_click", (event) => choose(event.points[0].pointIndex));
  mapPlot.on("plotly_relayout", (change) => {
    const given = Object.keys(change);
    if (given.some((key) => key.includes("autorange"))) drawMap(false);
    else if (given.some((key) => key.includes("range"))) {
      view.x = [...mapPlot.layout.xaxis.range];
      view.y = [...mapPlot.layout.yaxis.range];
      drawMap(true);
    }
  });
}

function setLayer(place) {
  state.layer = place;
  layerSlider.value = String(place);
  document.getElementById("layer-now").textContent = String(MAP.layers[place]);
  layerSlider.setAttribute("aria-valuetext", `layer ${MAP.layers[place]}`);
  showAbout();
}

// Search -----------------------------------------------------------------------------------------

function startSearch(input) {
  const table = document.getElementById(input.dataset.rows);
  const rows = [...table.tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const count = document.querySelector(`output[for="${input.id}"]`);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !texts[index].includes(wanted);
      shown += row.hidden ? 0 : 1;
    });
    count.textContent = `${shown} of ${rows.length}`;
  });
}

// Start ------------------------------------------------------------------------------------------

const places = [...document.querySelectorAll("[data-plot]")];
const folded = [...document.querySelectorAll("details:not(.numbers)")];
// What is folded has no width yet: it is drawn when it is opened.
const unseen = (place) => Boolean(place.closest("details:not([open])"));

function drawAll() {
  drawMap(true);
  drawOpen(places);
}

function drawOpen(some) {
  some.filter((place) => !unseen(place)).forEach(drawFigure);
}

function startFolds() {
  for (const one of folded)
    one.addEventListener("toggle", () => {
      if (!one.open || printing) return;
      drawOpen(places.filter((place) => one.contains(place)));
      one.querySelectorAll(".scroll").forEach(reachable);
    });
  const button = document.getElementById("open-all");
  button.hidden = false;
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    folded.forEach((one) => (one.open = open));
    button.textContent = open ? "Close all" : "Open all";
  });
}

// A link leads to an emotion, or opens what it leads to.
function follow() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (wanted.startsWith("emotion=")) {
    const index = NAMES.indexOf(wanted.slice("emotion=".length));
    if (index >= 0 && index !== state.chosen) choose(index);
    return;
  }
  const target = wanted && document.getElementById(wanted);
  if (!target) return;
  for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
  target.scrollIntoView();
}

function startTheme() {
  const button = document.getElementById("theme");
  const name = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colors`);
  };
  button.hidden = false;
  name();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
    drawAll();
    showKey();
  });
  systemDark.addEventListener("change", () => {
    name();
    drawAll();
    showKey();
  });
}

function startPrinting() {
  let before;
  let closed;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    closed = [...document.querySelectorAll("details:not([open]):not(.numbers)")];
    closed.forEach((one) => (one.open = true));
    root.dataset.theme = "light";
    printing = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
    closed.forEach((one) => (one.open = false));
    printing = false;
    drawAll();
  });
}

function startResizing() {
  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    if (innerWidth === width || printing) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
}

// plotly.js lies in the page compressed. Its text is run as a script, whose digest the page allows.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  script.remove();
}

async function start() {
  document.querySelectorAll("input[data-rows]").forEach(startSearch);
  document.querySelectorAll(".scroll").forEach(reachable);
  await unpack(document.getElementById("plotly"));
  startTheme();
  startPrinting();
  startMap();
  startFolds();
  startResizing();
  // One figure at a time, so that the page answers while it draws.
  for (const place of places) {
    if (unseen(place)) continue;
    await new Promise((done) => setTimeout(done));
    drawFigure(place);
  }
  root.dataset.drawn = "yes";
  follow();
  addEventListener("hashchange", follow);
}

start();

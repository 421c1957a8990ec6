"use strict";
// Draw the figures in the colours of the page; redraw after a change of width, colour scheme or selection.

const NARROW = 560; // figures below this width in pixels use the narrow layout
const seeds = document.getElementById("seeds");
const hiddenGroups = new Map(); // figure → set of hidden trace groups

/* Replace every var(--name) in a figure by its value in the style sheet, which depends on the colour scheme. */
function coloured(value, style) {
  if (typeof value === "string") {
    return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }
  if (Array.isArray(value)) return value.map((item) => coloured(item, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
  }
  return value;
}

const groupOf = (trace) => trace.legendgroup || trace.name;

function isVisible(trace, view, hidden) {
  const meta = trace.meta || {};
  if (hidden.has(groupOf(trace)) || (meta.seeds && !seeds.checked)) return false;
  return meta.view === undefined || meta.view === view;
}

/* Build the symbol of a legend button; Plotly's own legend is not accessible by keyboard. */
function keyOf(trace) {
  const key = document.createElement("span");
  const mark = trace.marker || {};
  const line = trace.line || {};
  const symbols = {
    circle: "●", diamond: "◆", square: "■", "circle-open": "○", "diamond-open": "◇", "square-open": "□",
    "line-ns-open": "|", "line-ew-open": "—",
  };
  key.className = "key";
  if (trace.type === "bar") key.classList.add("key-bar");
  else if (trace.type === "box" || trace.fill) key.classList.add("key-area");
  else if (trace.mode === "markers") key.textContent = symbols[mark.symbol] || "+";
  else key.classList.add("key-line", line.dash || "solid");
  if (trace.legendgroup !== "optimum") key.style.color = (trace.mode === "markers" || trace.type === "bar" ? mark.color : line.color) || "";
  return key;
}

function makeKeys(figure, traces, view, hidden) {
  const named = traces.filter((trace) => trace.name && trace.showlegend !== false && isVisible(trace, view, new Set()));
  const buttons = named.map((trace) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!hidden.has(groupOf(trace))));
    button.append(keyOf(trace), new DOMParser().parseFromString(trace.name, "text/html").body.textContent);
    button.addEventListener("click", () => {
      if (!hidden.delete(groupOf(trace))) hidden.add(groupOf(trace));
      const index = buttons.indexOf(button);
      draw(figure);
      figure.querySelectorAll(".keys button")[index].focus();
    });
    return button;
  });
  figure.querySelector(".keys").replaceChildren(...buttons);
}

function layoutOf(layout, view, narrow, style) {
  const ink = style.getPropertyValue("--ink").trim();
  const grid = style.getPropertyValue("--grid").trim();
  const axis = { gridcolor: grid, linecolor: grid, zerolinecolor: style.getPropertyValue("--rule").trim(), automargin: true, tickangle: 0 };
  const views = layout.meta && layout.meta.views;
  const viewLayout = (views && views[view]) || {};
  const figureLayout = Object.fromEntries(
    Object.entries(layout).map(([key, part]) => [key, /^[xy]axis$/.test(key) ? { ...axis, ...part, ...viewLayout[key] } : part]),
  );
  // a hover label with all lines would cover a narrow plot
  if (figureLayout.hovermode === "x unified" && narrow) figureLayout.hovermode = "closest";
  return {
    ...figureLayout,
    autosize: true,
    height: narrow ? 400 : 440,
    font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 13, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: narrow ? 44 : 60, r: narrow ? 10 : 40, t: 12, b: 46 },
    showlegend: false,
    modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: style.getPropertyValue("--quiet").trim(), activecolor: ink },
    hoverlabel: {
      bgcolor: style.getPropertyValue("--paper").trim(),
      bordercolor: style.getPropertyValue("--quiet").trim(),
      font: { color: ink },
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // touch scrolls the page
    uirevision: view, // keeps the zoom after a redraw
  };
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const select = figure.querySelector("[data-views]");
  const view = select ? select.value : undefined;
  const style = getComputedStyle(document.documentElement);
  const hidden = hiddenGroups.get(figure) || new Set();
  const spec = JSON.parse(figure.querySelector("script").textContent);
  makeKeys(figure, spec.data, view, hidden);
  const data = coloured(spec.data, style).map((trace) => ({ ...trace, visible: isVisible(trace, view, hidden) }));
  const narrow = plot.clientWidth < NARROW;
  const layout = layoutOf(coloured(spec.layout, style), view, narrow, style);
  const config = { displaylogo: false, displayModeBar: !narrow, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  Plotly.react(plot, data, layout, config);
  hiddenGroups.set(figure, hidden);
}

const figures = [...document.querySelectorAll("figure")];
const redraw = () => [...hiddenGroups.keys()].forEach(draw);

/* Draw one figure at a time, so that the page stays responsive. */
function drawNext(rest) {
  if (!rest.length) return;
  draw(rest[0]);
  setTimeout(drawNext, 0, rest.slice(1));
}
drawNext(figures);

figures.forEach((figure) => {
  const select = figure.querySelector("[data-views]");
  if (select) select.addEventListener("change", () => draw(figure));
});
seeds.addEventListener("change", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = innerWidth;
let timer;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's address bar appeared or disappeared
  width = innerWidth;
  clearTimeout(timer);
  timer = setTimeout(redraw, 150);
});

/* Show or hide the detail rows of the table. */
const allRows = document.getElementById("all-rows");
if (allRows) {
  const table = document.querySelector("table.main");
  allRows.addEventListener("change", () => table.classList.toggle("all", allRows.checked));
}

/* Show the selected message, and highlight the selected step in every answer. */
const message = document.getElementById("message");
const step = document.getElementById("step");
function showStep() {
  document.getElementById("step-number").textContent = step.value;
  document.querySelectorAll(".message").forEach((part) => {
    part.hidden = part.dataset.message !== message.value;
  });
  document.querySelectorAll(".message:not([hidden]) .line").forEach((line) => {
    line.querySelectorAll(".now").forEach((word) => word.classList.remove("now"));
    const word = line.querySelector(`[data-step="${step.value}"]`);
    word.classList.add("now");
    line.querySelector(".here").textContent = `${word.textContent}: ${word.title}`;
  });
}
if (message) {
  message.addEventListener("change", showStep);
  step.addEventListener("input", showStep);
  document.querySelectorAll(".word[data-step]").forEach((word) => {
    word.addEventListener("click", () => {
      step.value = word.dataset.step;
      showStep();
    });
  });
  showStep();
}

/* Mark the visible section in the navigation. */
const links = new Map([...document.querySelectorAll("nav li a")].map((link) => [link.hash.slice(1), link]));
const observer = new IntersectionObserver(
  (entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.removeAttribute("aria-current"));
      const link = links.get(entry.target.id);
      link.setAttribute("aria-current", "true");
      link.parentElement.parentElement.scrollTo({ left: link.offsetLeft - 80 });
    });
  },
  { rootMargin: "-30% 0px -65% 0px" },
);
links.forEach((_, name) => observer.observe(document.getElementById(name)));

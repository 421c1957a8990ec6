"use strict";
// Draws the figures in the page's own colours, again whenever the screen or a reader's choice changes.

const NARROW = 560; // pixels of a figure
const seeds = document.getElementById("seeds");
const drawn = new Map(); // what a reader has hidden in each figure that is drawn

/* Every var(--name) in a figure by its value in the style sheet, which depends on the screen. */
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

/* What a button shows of the lines it stands for: Plotly's own legend cannot be reached by keyboard. */
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
      const place = buttons.indexOf(button);
      draw(figure);
      figure.querySelectorAll(".keys button")[place].focus();
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
  const chosen = (views && views[view]) || {};
  const own = Object.fromEntries(
    Object.entries(layout).map(([key, part]) => [key, /^[xy]axis$/.test(key) ? { ...axis, ...part, ...chosen[key] } : part]),
  );
  if (own.hovermode === "x unified" && narrow) own.hovermode = "closest"; // a list of all lines would cover the picture
  return {
    ...own,
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
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
    uirevision: view, // what a reader has zoomed stays when the figure is drawn again
  };
}

function draw(figure) {
  const plot = figure.querySelector(".plot");
  const choice = figure.querySelector("[data-views]");
  const view = choice ? choice.value : undefined;
  const style = getComputedStyle(document.documentElement);
  const hidden = drawn.get(figure) || new Set();
  const spec = JSON.parse(figure.querySelector("script").textContent);
  makeKeys(figure, spec.data, view, hidden);
  const data = coloured(spec.data, style).map((trace) => ({ ...trace, visible: isVisible(trace, view, hidden) }));
  const narrow = plot.clientWidth < NARROW;
  const layout = layoutOf(coloured(spec.layout, style), view, narrow, style);
  const config = { displaylogo: false, displayModeBar: !narrow, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  Plotly.react(plot, data, layout, config);
  drawn.set(figure, hidden);
}

const figures = [...document.querySelectorAll("figure")];
const redraw = () => [...drawn.keys()].forEach(draw);

/* One figure at a time, so that the page answers while they are drawn. */
function drawNext(rest) {
  if (!rest.length) return;
  draw(rest[0]);
  setTimeout(drawNext, 0, rest.slice(1));
}
drawNext(figures);

figures.forEach((figure) => {
  const choice = figure.querySelector("[data-views]");
  if (choice) choice.addEventListener("change", () => draw(figure));
});
seeds.addEventListener("change", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = innerWidth;
let waiting;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's address bar came or went
  width = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(redraw, 150);
});

/* The table's other rows. */
const allRows = document.getElementById("all-rows");
if (allRows) {
  const table = document.querySelector("table.main");
  allRows.addEventListener("change", () => table.classList.toggle("all", allRows.checked));
}

/* Messages: one of them, and one step of it in every line. */
const message = document.getElementById("message");
const step = document.getElementById("step");
function point() {
  document.getElementById("step-told").textContent = step.value;
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
  message.addEventListener("change", point);
  step.addEventListener("input", point);
  document.querySelectorAll(".word[data-step]").forEach((word) => {
    word.addEventListener("click", () => {
      step.value = word.dataset.step;
      point();
    });
  });
  point();
}

/* Which section is read, in the navigation. */
const links = new Map([...document.querySelectorAll("nav li a")].map((link) => [link.hash.slice(1), link]));
const watcher = new IntersectionObserver(
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
links.forEach((_, name) => watcher.observe(document.getElementById(name)));

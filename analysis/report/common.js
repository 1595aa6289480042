// What both pages use: elements, controls, colours of the theme, plots.
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const hues = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f7ee6", "#8a8a8a"];
const narrow = () => window.innerWidth < 760;

/** An element with attributes and children; text is never read as HTML. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) node.append(child);
  return node;
}

function header() {
  document.title = data.title;
  const list = el("ul", {class: "findings"}, data.findings.map((text) => el("li", {}, text)));
  const facts = el("dl", {class: "facts"}, (data.facts || []).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat());
  const notes = (data.notes || []).map((text) => el("p", {class: "notes"}, text));
  page.append(el("h1", {}, data.title), el("section", {}, el("h2", {}, "Findings"), list, facts, notes));
}

function section(title, lead, ...children) {
  const node = el("section", {}, el("h2", {}, title), el("p", {class: "lead"}, lead), ...children);
  page.append(node);
  return node;
}

/** A labelled choice; `choices` are values or [value, text]. */
function choose(label, choices, change, value) {
  const options = choices.map((choice) => {
    const [of, text] = Array.isArray(choice) ? choice : [choice, String(choice)];
    return el("option", {value: of, selected: String(of) === String(value)}, text);
  });
  const select = el("select", {onchange: () => change(select.value)}, options);
  return el("label", {}, label, select);
}

function tick(label, on, change) {
  const box = el("input", {type: "checkbox", checked: on, onchange: () => change(box.checked)});
  return el("label", {class: "tick"}, box, label);
}

const distinct = (values) => [...new Set(values)];

/** Plots are drawn by functions that are called again when the theme or the width changes. */
const plots = new Map();
function plot(node, make) {
  plots.set(node, make);
  const {traces, layout} = make();
  const axis = {gridcolor: css("grid"), zerolinecolor: css("grid"), linecolor: css("line"), ticks: "outside", tickcolor: css("line"), automargin: true};
  const full = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: css("ink"), size: 12, family: getComputedStyle(document.body).fontFamily},
    margin: {l: 60, r: 10, t: 30, b: 48}, modebar: {bgcolor: "rgba(0,0,0,0)", color: css("soft"), activecolor: css("accent")}, hoverlabel: {font: {family: "monospace", size: 12}}, autosize: true, height: 400, ...layout,
    xaxis: {...axis, ...(layout.xaxis || {})}, yaxis: {...axis, ...(layout.yaxis || {})},
  };
  return Plotly.react(node, traces, full, {responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"]});
}
const redraw = () => plots.forEach((make, node) => plot(node, make));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let wasNarrow = narrow();
window.addEventListener("resize", () => {
  if (wasNarrow !== narrow()) { wasNarrow = narrow(); redraw(); }
});

const colourBar = (title, more = {}) => ({thickness: 12, outlinewidth: 0, title: {text: title, side: "right", font: {size: 12}}, ...more});
const number = (value, digits = 3) => value === null || value === undefined ? "–" : String(Number(Number(value).toPrecision(digits)));

function bytesOf(base64) {
  const text = atob(base64), out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) out[i] = text.charCodeAt(i);
  return out;
}

/** Runs a page's parts; what goes wrong is said on the page. */
function show(parts) {
  page.replaceChildren();
  if (typeof Plotly === "undefined") page.append(el("section", {}, "plotly.min.js was not found beside this page: figures cannot be drawn."));
  header();
  for (const part of parts) part();
}

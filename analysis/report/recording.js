// The page of recordings.
const L = data.n_layers;
const roleNames = {F: ["full", "reads everything"], S: ["select", "reads everything and chooses a set"], ".": ["sparse", "reads a set chosen before"], E: ["estimate", "chooses its own set and reads only that"], K: ["keep", "reads what was kept"]};
const roleLetters = ["F", "S", ".", "E", "K"];
const layersOf = (letter) => [...data.placement].flatMap((c, i) => (c === letter ? [i] : []));
const rowsOf = (values) => Array.from({length: L}, (_, i) => values.slice(i * L, (i + 1) * L));
const ks = (list) => distinct(list.map((m) => m.k)).sort((a, b) => a - b);
const middle = (list) => (list.includes(64) ? 64 : list[list.length >> 1]);

function strip(letters, title) {
  const cells = [...letters].map((c, i) => {
    const [name, what] = roleNames[c] || ["unknown", ""];
    return el("span", {class: "role-" + name, title: `layer ${i}: ${name}, ${what}`}, String(i));
  });
  return el("div", {class: "strip", role: "img", "aria-label": `${title}: ${letters}`}, cells);
}

function legendOf(letters) {
  return el("div", {class: "legend"}, distinct([...letters]).map((c) => el("span", {}, el("i", {class: "role-" + roleNames[c][0]}), `${roleNames[c][0]}: ${roleNames[c][1]}`)));
}

function placementPart() {
  if (!data.placement) return;
  section("Placement", "The role of every layer, from the input to the output.", strip(data.placement, "placement"), legendOf(data.placement));
}

/** A layer x layer heatmap; selection layers are marked on both axes. */
function layerMap(node, values, what, ranges = {}) {
  const selected = data.placement ? layersOf("S") : [];
  plot(node, () => ({
    traces: [{
      type: "heatmap", z: rowsOf(values), colorscale: ranges.colours || "Viridis", zmin: 0, zmax: 1, ...ranges.z, xgap: 0.5, ygap: 0.5, hoverongaps: false,
      hovertemplate: `layer %{y} → %{x}<br>${what} %{z:.3f}<extra></extra>`, colorbar: colourBar(what),
    }],
    layout: {
      height: Math.min(520, Math.max(300, node.clientWidth * 0.86)),
      xaxis: {title: {text: "layer j"}, constrain: "domain", showgrid: false, dtick: L > 40 ? 10 : 5, tick0: 0},
      yaxis: {title: {text: "layer i"}, autorange: "reversed", scaleanchor: "x", constrain: "domain", showgrid: false, dtick: L > 40 ? 10 : 5},
      shapes: selected.flatMap((layer) => [
        {type: "rect", xref: "x", yref: "paper", x0: layer - 0.5, x1: layer + 0.5, y0: 0, y1: 1, line: {color: css("mark"), width: 1.2}},
      ]),
    },
  }));
}

function overlapPart() {
  const all = data.matrices.filter((m) => m.measure === "overlap" || m.measure === "jaccard");
  if (!all.length) return;
  const state = {k: middle(ks(all)), measure: "overlap", variant: all[0].variant};
  const node = el("div", {class: "plot"}), lines = el("div", {class: "plot"});
  const unit = () => (state.measure === "overlap" ? "overlap (share of k)" : "Jaccard");
  const byDistance = (m) => Array.from({length: L - 1}, (_, d) => {
    const pairs = Array.from({length: L - 1 - d}, (_, i) => m.value[i * L + i + d + 1]).filter((v) => v !== null);
    return pairs.length ? pairs.reduce((a, b) => a + b, 0) / pairs.length : null;
  });
  const drawLines = () => plot(lines, () => {
    const chosen = all.filter((m) => m.measure === state.measure && m.variant === state.variant).sort((a, b) => a.k - b.k);
    return {
      traces: chosen.map((m, i) => ({type: "scatter", mode: "lines", name: `k = ${m.k}`, x: Array.from({length: L - 1}, (_, d) => d + 1), y: byDistance(m),
        line: {color: hues[i % hues.length], width: m.k == state.k ? 3.5 : 1.5}, hovertemplate: `%{x} layers apart<br>${unit()} %{y:.3f}<extra>k = ${m.k}</extra>`})),
      layout: {height: narrow() ? 320 : 430, xaxis: {title: {text: "distance between the layers"}}, yaxis: {title: {text: unit()}, range: [0, 1.02]}, legend: {orientation: "h", y: -0.18}, margin: {l: 60, r: 10, t: 30, b: 80}},
    };
  });
  const draw = () => {
    const m = all.find((x) => x.k == state.k && x.measure === state.measure && x.variant === state.variant);
    if (m) layerMap(node, m.value, unit());
    drawLines();
  };
  const set = (key) => (value) => { state[key] = value; draw(); };
  const variants = {head: "each query head", group: "each KV head's group", layer: "all heads of the layer"};
  section("Which layers agree", "How many of the k positions of highest attention two layers share, mean over steps and samples.",
    el("div", {class: "controls"}, choose("k (positions)", ks(all), set("k"), state.k),
      choose("measure", distinct(all.map((m) => m.measure)).map((m) => [m, m === "overlap" ? "overlap, share of k" : "Jaccard"]), set("measure"), state.measure),
      choose("compared by", distinct(all.map((m) => m.variant)).map((v) => [v, variants[v] || v]), set("variant"), state.variant)),
    el("div", {class: "pair"}, el("div", {}, el("h3", {}, "Layer by layer"), node), el("div", {}, el("h3", {}, "By distance, mean over pairs of layers"), lines)));
  draw();
}

function reusePart() {
  const all = data.matrices.filter((m) => m.measure === "recall" || m.measure === "mass");
  if (!all.length) return;
  const variants = distinct(all.map((m) => m.variant));
  const source0 = data.placement && layersOf("S").length ? layersOf("S")[0] : Math.min(2, L - 2);
  const state = {k: middle(ks(all)), measure: all[0].measure, source: source0};
  const maps = variants.map((variant) => ({variant, node: el("div", {class: "plot"})}));
  const lines = el("div", {class: "plot"});
  const find = (variant) => all.find((x) => x.k == state.k && x.measure === state.measure && x.variant === variant);
  const unit = () => (state.measure === "recall" ? "recall (share of k)" : "attention mass");
  const drawLines = () => plot(lines, () => ({
    traces: variants.map((variant, i) => {
      const m = find(variant), from = Number(state.source);
      const x = Array.from({length: L - 1 - from}, (_, d) => from + 1 + d);
      return {type: "scatter", mode: "lines+markers", name: variant, x, y: m ? x.map((j) => m.value[from * L + j]) : [],
        line: {color: hues[i], dash: variant === "same head" ? "dot" : "solid", width: 2}, marker: {size: 6, symbol: i ? "square" : "circle"},
        hovertemplate: `layer %{x}<br>${unit()} %{y:.3f}<extra>${variant}</extra>`};
    }),
    layout: {height: 340, xaxis: {title: {text: "reading layer j"}, range: [-0.5, L - 0.5]}, yaxis: {title: {text: unit()}, range: [0, 1.02]}, legend: {orientation: "h", y: -0.25}, margin: {l: 60, r: 10, t: 30, b: 80}},
  }));
  const draw = () => {
    for (const {variant, node} of maps) { const m = find(variant); if (m) layerMap(node, m.value, unit()); }
    drawLines();
  };
  const set = (key) => (value) => { state[key] = value; draw(); };
  section("What a reused set is worth", "Row: the layer that chooses k positions. Column: a later layer that reads them. Same head: head h reads head h's set. Mapped: head h reads the set of the head that serves it best. Recall: share of the later layer's own top k that is in the set. Mass: attention probability on the set.",
    el("div", {class: "controls"}, choose("k (positions)", ks(all), set("k"), state.k),
      choose("measure", distinct(all.map((m) => m.measure)), set("measure"), state.measure)),
    el("div", {class: "pair"}, maps.map(({variant, node}) => el("div", {}, el("h3", {}, variant), node))),
    el("h3", {}, "From one selection layer to every later layer"),
    el("div", {class: "controls"}, choose("selection layer", Array.from({length: L - 1}, (_, i) => i), set("source"), state.source)), lines);
  draw();
}

function persistencePart() {
  if (!data.persistence.length) return;
  const list = data.persistence, state = {k: middle(ks(list))};
  const node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const table = list.find((t) => t.k == state.k), n = table.distance.length;
    const measured = table.distance.filter((_, d) => table.value.some((v, at) => at % n === d && v !== null)).length;
    return {
      traces: [{type: "heatmap", x: table.distance.slice(0, measured), z: Array.from({length: L}, (_, i) => table.value.slice(i * n, i * n + measured)), colorscale: "Viridis", zmin: 0, zmax: 1,
        hoverongaps: false, hovertemplate: "layer %{y}, %{x} steps later<br>persistence %{z:.3f}<extra></extra>", colorbar: colourBar("share of k")}],
      layout: {height: 420, xaxis: {title: {text: "distance d (steps)"}, showgrid: false}, yaxis: {title: {text: "layer"}, autorange: "reversed", showgrid: false, dtick: 5}},
    };
  });
  section("How long a set stays true", "Persistence: the share of a step's top k that is in the top k again d steps later.",
    el("div", {class: "controls"}, choose("k (positions)", ks(list), (k) => { state.k = k; draw(); }, state.k)), node);
  draw();
}

function curvesPart() {
  if (!data.curves.length) return;
  const state = {i: 0}, node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const c = data.curves[state.i], bars = c.low.length ? {type: "data", symmetric: false, array: c.value.map((v, i) => c.high[i] - v), arrayminus: c.value.map((v, i) => v - c.low[i]), color: css("soft"), thickness: 1} : undefined;
    return {traces: [{type: "bar", x: c.value.map((_, i) => i), y: c.value, error_y: bars, marker: {color: hues[0]}, hovertemplate: `layer %{x}<br>%{y:.3g} ${c.unit}<extra></extra>`}],
      layout: {height: 300, bargap: 0.15, xaxis: {title: {text: "layer"}, showgrid: false}, yaxis: {title: {text: c.unit}, range: c.unit === "share" ? [0, 1.02] : undefined}}};
  });
  section("The recorded sets", "What the run's own sets were worth at each layer that read them.",
    el("div", {class: "controls"}, choose("shown", data.curves.map((c, i) => [i, c.name]), (i) => { state.i = Number(i); draw(); }, 0)), node);
  draw();
}

/** Decoded codes of a view's layer, kept after the first use. */
const decoded = new Map();
function codesOf(view, kind, index) {
  const key = [view.name, kind, index].join("/");
  if (!decoded.has(key)) decoded.set(key, bytesOf(view[kind][index]));
  return decoded.get(key);
}

function tokenText(text) {
  return text === undefined ? "" : text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "·");
}

/** log10 of each cell; null where there is nothing or what is hidden. */
function cellsOf(view, state) {
  const layer = view.layers.indexOf(Number(state.layer)), steps = view.steps.length, bins = view.n_bins;
  const codes = codesOf(view, "code", layer), heads = view.heads.length;
  const bits = view.read_bits[layer] ? codesOf(view, "read_bits", layer) : null, rowBytes = Math.ceil(bins / 8);
  const z = [], read = {x: [], y: []};
  const chosen = state.head === "max" ? view.heads.map((_, i) => i) : [view.heads.indexOf(Number(state.head))];
  for (let s = 0; s < steps; ++s) {
    const row = new Array(bins).fill(null), kv = view.kv_len[s];
    for (let b = 0; b < bins; ++b) {
      const first = b * view.bin;
      if (first >= kv || (state.sinks && first < 4) || (state.recent && first + view.bin > kv - 16)) continue;
      let code = 0, wasRead = false;
      for (const h of chosen) {
        code = Math.max(code, codes[(h * steps + s) * bins + b]);
        wasRead = wasRead || (bits !== null && (bits[(h * steps + s) * rowBytes + (b >> 3)] >> (b & 7)) & 1);
      }
      // a weight that rounds to 0 is drawn lowest; what was not read, or not recorded, stays blank
      const known = !view.top_only && (view.shadow || bits === null || wasRead);
      if (code > 0 || known) row[b] = code === 0 ? view.floor_log10 : view.floor_log10 * (1 - (code - 1) / 254);
      if (wasRead) { read.x.push(first); read.y.push(s); }
    }
    z.push(row);
  }
  return {z, read, heads};
}

function attentionPart() {
  const views = data.attention;
  if (!views.length) return;
  const state = {view: 0, layer: 0, head: "max", sinks: true, recent: false, read: true, step: 0};
  const node = el("div", {class: "plot"}), controls = el("div", {class: "controls"}), tokens = el("div", {class: "tokens"}), readout = el("div", {class: "readout"}), roles = el("div"), notes = el("p", {class: "notes"});
  let cells = null;
  const drawTokens = () => {
    const view = views[state.view];
    if (view.bin > 1) { tokens.hidden = true; return; }
    const row = cells.z[state.step], kv = view.kv_len[state.step];
    const read = new Set(cells.read.x.filter((_, i) => cells.read.y[i] === state.step));
    tokens.replaceChildren(...Array.from({length: kv}, (_, x) => {
      const share = row[x] === null ? 0 : Math.max(0, 1 - row[x] / -3.5);
      const shade = share > 0 ? `background: rgba(213, 94, 0, ${(0.75 * share).toFixed(2)})` : "";
      return el("span", {class: state.read && read.has(x) ? "read" : "", style: shade, title: `position ${x}${row[x] === null ? "" : ", prob " + number(10 ** row[x], 2)}`}, view.token[x] ?? "");
    }));
    const at = view.steps[state.step];
    readout.textContent = `Step ${at}, fed token ${JSON.stringify(view.token[kv - 1] ?? "")} (position ${kv - 1}). Darker: more attention. Underlined: read. A click into the map chooses the step.`;
  };
  const draw = () => {
    const view = views[state.view];
    cells = cellsOf(view, state);
    const layer = view.layers.indexOf(Number(state.layer));
    const labels = Array.from({length: view.n_bins}, (_, b) => {
      const from = b * view.bin, to = Math.min(from + view.bin, view.token.length);
      return `position ${from}${view.bin > 1 ? "–" + (to - 1) : ""}<br>${tokenText(view.token.slice(from, to).join("")).replace(/&/g, "&amp;").replace(/</g, "&lt;")}`;
    });
    const most = Math.max(...cells.z.map((row) => Math.max(...row.map((v) => (v === null ? view.floor_log10 : v)))));
    const top = Math.min(0, Math.ceil(most)), bottom = Math.max(view.floor_log10, top - 4);
    const decades = Array.from({length: top - bottom + 1}, (_, i) => bottom + i);
    const text = cells.z.map(() => labels), x = labels.map((_, b) => b * view.bin), y = view.steps.map((_, s) => s);
    plot(node, () => ({
      traces: [
        {type: "heatmap", x, y, z: cells.z, text, colorscale: "Viridis", zmin: bottom, zmax: top, hoverongaps: false,
          customdata: cells.z.map((row) => row.map((v) => (v === null ? "" : number(10 ** v, 2)))),
          hovertemplate: "%{text}<br>prob %{customdata}<extra>step %{y}</extra>",
          colorbar: colourBar("prob", {tickvals: decades, ticktext: decades.map((d) => (d >= -2 ? String(10 ** d) : `10<sup>${d}</sup>`))})},
        ...(state.read && cells.read.x.length ? [{type: "scatter", mode: "markers", name: "read", x: cells.read.x, y: cells.read.y, hoverinfo: "skip",
          marker: {symbol: "square-open", size: narrow() ? 3 : 5, color: "#ffffff", opacity: 0.55, line: {width: 1}}}] : []),
      ],
      layout: {height: Math.min(560, 170 + 14 * view.steps.length), showlegend: false, xaxis: {title: {text: "position (tokens)"}, showgrid: false},
        yaxis: {title: {text: "decode step"}, autorange: "reversed", showgrid: false, tickvals: y.filter((s) => s % Math.ceil(y.length / 12) === 0), ticktext: view.steps.filter((_, s) => s % Math.ceil(y.length / 12) === 0).map(String)}},
    })).then(() => {
      node.removeAllListeners("plotly_click");
      node.on("plotly_click", (event) => { state.step = event.points[0].y; drawTokens(); });
    });
    const role = roleNames[roleLetters[view.role[layer][0]]];
    roles.textContent = `Layer ${state.layer} is ${role ? role[0] + ": it " + role[1] : "of unknown role"}.`;
    notes.textContent = [view.shadow ? "Full attention's weights for the same query are shown (shadow maps); what the run read is marked." : "", ...view.notes].filter(Boolean).join("; ");
    drawTokens();
  };
  const set = (key) => (value) => { state[key] = value; draw(); };
  const build = () => {
    const view = views[state.view];
    state.layer = view.layers.includes(Number(state.layer)) ? state.layer : view.layers[0];
    state.step = 0;
    controls.replaceChildren(
      ...(views.length > 1 ? [choose("recording", views.map((v, i) => [i, v.name]), (i) => { state.view = Number(i); build(); }, state.view)] : []),
      choose("layer", view.layers, set("layer"), state.layer),
      choose("head", [["max", "all (maximum)"], ...view.heads.map((h) => [h, String(h)])], set("head"), state.head),
      tick("hide the first 4 positions", state.sinks, set("sinks")), tick("hide the last 16", state.recent, set("recent")),
      ...(view.read_bits.some((bits) => bits) ? [tick("mark positions read", state.read, set("read"))] : []));
    draw();
  };
  section("Attention maps", "The weight of each position at each decode step, logarithmic colours. Blank: hidden, not read, or not there yet.", controls, roles, node, notes, readout, tokens);
  state.layer = views[0].layers[views[0].layers.length >> 1];
  build();
}

show([placementPart, overlapPart, reusePart, persistencePart, curvesPart, attentionPart]);

// The page of a plan: validation, what each layer is worth, the head map.
const chosenLine = (layer) => ({type: "line", x0: layer, x1: layer, yref: "paper", y0: 0, y1: 1, line: {color: css("soft"), dash: "dot", width: 1.5}});

function validationPart() {
  const node = el("div", {class: "plot"}), list = data.validation;
  plot(node, () => ({
    traces: [{
      type: "scatter", mode: "markers", x: list.map((r) => r.rows_read), y: list.map((r) => 100 * r.accuracy), cliponaxis: false,
      marker: {size: 10, color: list.map((r) => (r.what === "chosen" ? hues[1] : r.what === "full attention" ? css("ink") : hues[0])), symbol: list.map((r) => (r.what === "full attention" ? "star" : /same head/.test(r.what) ? "triangle-up-open" : "circle"))},
      error_y: {type: "data", symmetric: false, thickness: 1, width: 0, color: css("soft"), array: list.map((r) => 100 * (r.high - r.accuracy)), arrayminus: list.map((r) => 100 * (r.accuracy - r.low))},
      text: list.map((r) => `<b>${r.what}</b><br>${r.correct} of ${r.n} right (${number(100 * r.low)} to ${number(100 * r.high)} %)<br>${number(r.rows_read)} rows read<br>${r.policy.replaceAll(",", ", ")}`), hovertemplate: "%{text}<extra></extra>",
    }],
    layout: {height: 440, showlegend: false, hovermode: "closest", xaxis: {title: {text: "K/V rows read (per KV head, layer and step)"}, type: "log"}, yaxis: {title: {text: "right answers (%)"}, range: [-3, 103]},
      annotations: narrow() ? [] : list.map((r) => ({x: Math.log10(r.rows_read), y: 100 * r.accuracy, text: r.what, showarrow: false, xanchor: "left", xshift: 8, yshift: r.accuracy > 0.5 ? -10 : 10, font: {size: 11, color: css("soft")}}))},
  }));
  const row = (r) => el("tr", {}, ...[r.what, `${r.correct} / ${r.n}`, `${number(100 * r.low)}–${number(100 * r.high)} %`, number(r.rows_read, 4), number(r.answer_logprob), r.policy].map((text) => el("td", {}, String(text))));
  section("Validation", "On samples that the search has not seen; 95 % intervals. Left and up is better.", node,
    el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, ["placement", "right", "95 % interval", "rows read", "log-probability (nats a token)", "policy"].map((text) => el("th", {}, text)))), el("tbody", {}, list.map(row)))));
}

function layersPart() {
  const node = el("div", {class: "plot"});
  plot(node, () => ({
    traces: data.best_by_layer.map((level, i) => ({type: "scatter", mode: "lines+markers", name: level.name, x: level.value.map((_, layer) => layer), y: level.value, line: {color: hues[i % hues.length]}, hovertemplate: "layer %{x}: %{y}<extra></extra>"})),
    layout: {height: 420, xaxis: {title: {text: "layer"}, dtick: 2}, yaxis: {title: {text: data.measure}}, shapes: data.chosen.map(chosenLine), legend: narrow() ? {orientation: "h", y: -0.25} : {}},
  }));
  section("What a selection layer is worth", "The best placement that has this layer among its selection layers, on the search's samples (poor ones saw fewer of them). Dotted: the chosen layers.", node);
}

function pairsPlot(values, title, label) {
  const node = el("div", {class: "plot"}), n = data.n_layers, layers = [...Array(n).keys()];
  plot(node, () => ({
    traces: [{type: "heatmap", x: layers, y: layers, z: layers.map((row) => values.slice(row * n, (row + 1) * n)), colorscale: "Viridis", hoverongaps: false, hovertemplate: "chosen at layer %{y}, read at %{x}: %{z}<extra></extra>", colorbar: colourBar(label)}],
    layout: {height: 560, title: {text: title, font: {size: 14}}, xaxis: {title: {text: "reading layer"}, showgrid: false}, yaxis: {title: {text: "choosing layer"}, autorange: "reversed", showgrid: false},
      shapes: data.chosen.map((layer) => ({type: "rect", x0: -0.5, x1: n - 0.5, y0: layer - 0.5, y1: layer + 0.5, line: {color: hues[1], width: 2}}))},
  }));
  return node;
}

function mapPart() {
  if (!data.mass) return;
  const nodes = [pairsPlot(data.mass, "of all attention", "attention mass")];
  if (data.mass_share) nodes.push(pairsPlot(data.mass_share, "of what the reading layer's own choice holds", "share of the own choice"));
  section("What one layer's choice holds of another's attention", `Mass on the ${data.k} chosen positions, each head with the head that serves it best: ${data.map_from}. Outlined: the selection layers.`, ...nodes);
}

function frontierPart() {
  if (!data.frontier) return;
  const node = el("div", {class: "plot"}), validated = data.validation.filter((r) => r.what === "chosen" || r.what.startsWith("best with"));
  const trace = (list, name, colour, symbol) => ({
    type: "scatter", mode: "markers", name, x: list.map((r) => r.rows_read), y: list.map((r) => 100 * r.accuracy), cliponaxis: false, marker: {size: 10, color: colour, symbol},
    error_y: {type: "data", symmetric: false, thickness: 1, width: 0, color: css("soft"), array: list.map((r) => 100 * (r.high - r.accuracy)), arrayminus: list.map((r) => 100 * (r.accuracy - r.low))},
    text: list.map((r) => `<b>${r.candidate}</b><br>${r.correct} of ${r.n} right (${number(100 * r.low)} to ${number(100 * r.high)} %)<br>${number(r.rows_read)} rows read`), hovertemplate: "%{text}<extra></extra>",
  });
  plot(node, () => ({
    traces: [trace(data.frontier, "in the choice", hues[0], "circle-open"), trace(validated, "on validation", hues[1], "circle")],
    layout: {height: 420, hovermode: "closest", xaxis: {title: {text: "K/V rows read (per KV head, layer and step)"}, type: "log"}, yaxis: {title: {text: "right answers (%)"}, range: [-3, 103]}, legend: narrow() ? {orientation: "h", y: -0.25} : {}},
  }));
  section("Frontier", "The best candidate of each budget and number of selection layers; 95 % intervals. Left and up is better.", node);
}

function settingsPart() {
  const names = Object.keys(data.best_by_setting || {});
  if (!names.length) return;
  const row = (name, entry) => el("tr", {}, ...[name, entry.value + (data.settings[name] === entry.value ? " (chosen)" : ""), entry.measure === null ? "not looked at" : number(entry.measure)].map((text) => el("td", {}, String(text))));
  section("Settings", `The best ${data.measure} with each value, at the chosen budget and number of selection layers, on the search's samples (poor candidates saw fewer of them).`,
    el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, ["setting", "value", data.measure].map((text) => el("th", {}, text)))), el("tbody", {}, names.flatMap((name) => data.best_by_setting[name].map((entry) => row(name, entry)))))));
}

show([validationPart, frontierPart, settingsPart, layersPart, mapPart]);

// The page of a sweep.
const all = data.configurations;
const cellName = (cell) => (cell.length ? `${cell.task}, ${cell.length} tokens` : cell.task);
const cells = distinct(all.map((c) => c.task + "\u0000" + c.length)).map((key) => ({key, task: key.split("\u0000")[0], length: Number(key.split("\u0000")[1])}));
const inCell = (cell) => all.filter((c) => c.task === cell.task && c.length === cell.length);
const kindOf = (c) => c.heads;
const kinds = distinct(all.filter((c) => !c.full).map(kindOf));
const symbolOf = (kind) => (kind.startsWith("same") ? "triangle-up-open" : ["circle", "square", "diamond", "pentagon", "cross"][kinds.filter((k) => !k.startsWith("same")).indexOf(kind) % 5]);
const budgetOrder = (a, b) => parseFloat(a || 0) - parseFloat(b || 0) || String(a).localeCompare(String(b));

const estimateOf = (c, key) => c[key] || {n: 0, mean: null, low: null, high: null};  // pages of older runs have fewer
const qualities = {
  score: {label: "score (%)", of: (c) => estimateOf(c, "score"), factor: 100, range: [-3, 103]},
  accuracy: {label: "accuracy (%)", of: (c) => c.accuracy, factor: 100, range: [-3, 103]},
  answer_logprob: {label: "log-probability of the answer (nats a token)", of: (c) => c.answer_logprob, factor: 1},
  kl: {label: "KL from full attention (nats), lower is better", of: (c) => c.kl, factor: 1, down: true},
  perplexity: {label: "perplexity, lower is better", of: (c) => estimateOf(c, "perplexity"), factor: 1, down: true},
  agree: {label: "same most likely token as full attention (%)", of: (c) => c.agree, factor: 100, range: [-3, 103]},
};
const costs = {
  rows_read: {label: "K/V rows read (per KV head, layer and step)", of: (c) => c.rows_read.mean, log: true},
  latency: {label: "decode latency (ms a token, batch 1)", of: (c) => c.latency_ms && c.latency_ms.median},
};

/** Round numbers on a log axis. */
function logTicks(values) {
  const low = Math.min(...values), high = Math.max(...values), few = high / low < 20, ticks = [];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.ceil(Math.log10(high)); ++decade) {
    for (const factor of few ? [1, 1.5, 2, 3, 5, 7] : [1, 2, 5]) ticks.push(factor * 10 ** decade);
  }
  return {tickvals: ticks, ticktext: ticks.map((v) => number(v))};
}

/** Points that no other beats, by rising cost. */
function frontOf(points, down) {
  const better = (a, b) => (down ? a < b : a > b), front = [];
  for (const p of [...points].sort((a, b) => Math.fround(a.x) - Math.fround(b.x) || (down ? a.y - b.y : b.y - a.y))) {
    if (!front.length || better(p.y, front[front.length - 1].y)) front.push(p);
  }
  return front;
}

function frontierPart() {
  const present = (table, get) => Object.keys(table).filter((key) => all.some((c) => get(table[key], c) !== null && get(table[key], c) !== undefined));
  const haveQuality = present(qualities, (q, c) => q.of(c).mean), haveCost = present(costs, (q, c) => q.of(c));
  if (!haveQuality.length || !haveCost.length) return;
  const state = {cell: 0, quality: haveQuality[0], cost: haveCost[0], intervals: true}, node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const quality = qualities[state.quality], cost = costs[state.cost], list = inCell(cells[state.cell]);
    const points = list.map((c) => ({c, x: cost.of(c), y: quality.of(c).mean === null ? null : quality.of(c).mean * quality.factor})).filter((p) => p.x !== null && p.x !== undefined && p.y !== null);
    const budgets = distinct(list.filter((c) => !c.full).map((c) => c.budget)).sort(budgetOrder);
    const trace = (name, chosen, colour, symbol) => ({
      type: "scatter", mode: "markers", name, x: chosen.map((p) => p.x), y: chosen.map((p) => p.y), marker: {color: colour, symbol, size: symbol === "star" ? 14 : 9, line: {width: 1.5, color: colour}},
      error_y: state.intervals ? {type: "data", symmetric: false, thickness: 1, width: 0, color: colour + "77", array: chosen.map((p) => (quality.of(p.c).high ?? quality.of(p.c).mean) * quality.factor - p.y), arrayminus: chosen.map((p) => p.y - (quality.of(p.c).low ?? quality.of(p.c).mean) * quality.factor)} : undefined,
      text: chosen.map((p) => `<b>${p.c.name}</b><br>${quality.label}: ${number(p.y)}${quality.of(p.c).low === null ? "" : ` (${number(quality.of(p.c).low * quality.factor)} to ${number(quality.of(p.c).high * quality.factor)})`}, n = ${quality.of(p.c).n}<br>rows read ${number(p.c.rows_read.mean)}${p.c.latency_ms ? `<br>${number(p.c.latency_ms.median)} ms a token` : ""}`),
      hovertemplate: "%{text}<extra></extra>",
    });
    const traces = [], front = frontOf(points.filter((p) => !p.c.full), quality.down);
    traces.push({type: "scatter", mode: "lines", name: "best for its cost", x: front.map((p) => p.x), y: front.map((p) => p.y), line: {color: css("soft"), shape: "hv", width: 1.5}, hoverinfo: "skip"});
    for (const [i, budget] of budgets.entries()) {
      for (const kind of distinct(list.filter((c) => !c.full).map(kindOf))) {
        const chosen = points.filter((p) => !p.c.full && p.c.budget === budget && kindOf(p.c) === kind);
        if (chosen.length) traces.push(trace(`${budget ? "budget " + budget + ", " : ""}${kind}`, chosen, hues[i % hues.length], symbolOf(kind)));
      }
    }
    const full = points.filter((p) => p.c.full);
    if (full.length) traces.push(trace("full attention", full, css("ink"), "star"));
    return {traces, layout: {
      height: narrow() ? 520 : 480, xaxis: {title: {text: cost.label}, type: cost.log ? "log" : "linear", ...(cost.log ? logTicks(points.map((p) => p.x)) : {})}, yaxis: {title: {text: quality.label}, range: quality.range},
      legend: narrow() ? {orientation: "h", y: -0.22} : {}, hovermode: "closest",
      shapes: full.map((p) => ({type: "line", xref: "paper", x0: 0, x1: 1, y0: p.y, y1: p.y, line: {color: css("soft"), dash: "dot", width: 1}})),
      annotations: narrow() ? [] : front.map((p) => ({x: cost.log ? Math.log10(p.x) : p.x, y: p.y, text: p.c.selection, showarrow: false, xshift: 6, yshift: -12, xanchor: "left", font: {size: 11, color: css("soft")}})),
    }};
  });
  const set = (key) => (value) => { state[key] = value; draw(); };
  section("What a budget buys", "One point a configuration: selection layers, budget and head map. Lines through points: 95 % intervals. Left and up is better.",
    el("div", {class: "controls"},
      ...(cells.length > 1 ? [choose("task", cells.map((c, i) => [i, cellName(c)]), set("cell"), 0)] : []),
      choose("quality", haveQuality.map((q) => [q, qualities[q].label]), set("quality"), state.quality), choose("cost", haveCost.map((c) => [c, costs[c].label]), set("cost"), state.cost),
      tick("intervals", true, set("intervals"))), node);
  draw();
}

/** Every method in one chart: a line a method over its budgets, full attention dotted. */
function methodsPart() {
  const haveQuality = Object.keys(qualities).filter((key) => all.some((c) => qualities[key].of(c).mean !== null));
  if (!haveQuality.length || !all.some((c) => c.method && !c.full)) return;
  const state = {cell: 0, quality: haveQuality[0], intervals: true}, node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const quality = qualities[state.quality], list = inCell(cells[state.cell]).filter((c) => quality.of(c).mean !== null && c.rows_read.mean !== null);
    const methods = distinct(list.filter((c) => !c.full).map((c) => c.method)).sort();
    const bound = (c, end) => (quality.of(c)[end] ?? quality.of(c).mean) * quality.factor;
    const traces = methods.map((method, i) => {
      const line = list.filter((c) => c.method === method).sort((a, b) => a.rows_read.mean - b.rows_read.mean), y = line.map((c) => quality.of(c).mean * quality.factor);
      return {
        type: "scatter", mode: "lines+markers", name: method, x: line.map((c) => c.rows_read.mean), y, line: {color: hues[i % hues.length], dash: /^(oracle|random)/.test(method) ? "dash" : i < 8 ? "solid" : "dashdot", width: 2},
        marker: {size: 8, symbol: ["circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star", "x"][(i + 3 * Math.floor(i / 8)) % 8] + (i < 8 ? "" : "-open")},
        error_y: state.intervals ? {type: "data", symmetric: false, thickness: 1, width: 0, color: hues[i % hues.length] + "77", array: line.map((c, k) => bound(c, "high") - y[k]), arrayminus: line.map((c, k) => y[k] - bound(c, "low"))} : undefined,
        text: line.map((c) => `<b>${c.method}, budget ${c.budget}</b><br>${quality.label}: ${number(quality.of(c).mean * quality.factor)}, n = ${quality.of(c).n}<br>rows read ${number(c.rows_read.mean)}`), hovertemplate: "%{text}<extra></extra>",
      };
    });
    const full = list.filter((c) => c.full);
    return {traces, layout: {
      height: narrow() ? 540 : 500, xaxis: {title: {text: costs.rows_read.label}, type: "log", ...logTicks(list.map((c) => c.rows_read.mean))}, yaxis: {title: {text: quality.label}, range: quality.range, type: state.quality === "kl" || state.quality === "perplexity" ? "log" : "linear"},
      legend: narrow() ? {orientation: "h", y: -0.22} : {}, hovermode: "closest",
      shapes: state.quality === "kl" ? [] : full.map((c) => ({type: "line", xref: "paper", x0: 0, x1: 1, y0: quality.of(c).mean * quality.factor, y1: quality.of(c).mean * quality.factor, line: {color: css("soft"), dash: "dot", width: 1.5}})),
    }};
  });
  const set = (key) => (value) => { state[key] = value; draw(); };
  section("Every method", "A line a method over its budgets, against the rows that it read; full attention dotted; oracle and random dashed.",
    el("div", {class: "controls"}, ...(cells.length > 1 ? [choose("task", cells.map((c, i) => [i, cellName(c)]), set("cell"), 0)] : []),
      choose("quality", haveQuality.map((q) => [q, qualities[q].label]), set("quality"), state.quality), tick("intervals", true, set("intervals"))), node);
  draw();
}

/** Length x depth of one configuration. */
function lengthDepthPart() {
  const withDepth = all.filter((c) => c.by_depth.length > 1), tasks = distinct(withDepth.map((c) => c.task)).filter((task) => distinct(withDepth.filter((c) => c.task === task).map((c) => c.length)).length > 1);
  if (!tasks.length) return;
  const key = (c) => `${c.task}\u0000${c.policy}`, choices = distinct(withDepth.filter((c) => tasks.includes(c.task)).map(key));
  const named = (k) => { const c = withDepth.find((one) => key(one) === k); return `${c.task}: ${c.full ? "full attention" : `${c.method}, budget ${c.budget}`}`; };
  const state = {choice: choices[0]}, node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const list = withDepth.filter((c) => key(c) === state.choice).sort((a, b) => b.length - a.length), depths = distinct(list.flatMap((c) => c.by_depth.map((d) => d.depth))).sort((a, b) => a - b);
    const at = list.map((c) => depths.map((depth) => c.by_depth.find((d) => d.depth === depth)));
    return {
      traces: [{type: "heatmap", x: depths.map((d) => `${+(100 * d).toFixed(1)}`), y: list.map((c) => `${c.length}`), z: at.map((row) => row.map((d) => (d ? (100 * d.correct) / d.n : null))), text: at.map((row) => row.map((d) => (d ? `${d.correct}/${d.n}` : ""))),
        texttemplate: "%{text}", colorscale: "Viridis", zmin: 0, zmax: 100, xgap: 1, ygap: 1, hoverongaps: false, hovertemplate: "%{y} tokens, depth %{x} %<br>%{text} right<extra></extra>", colorbar: colourBar("right (%)")}],
      layout: {height: 160 + 40 * list.length, xaxis: {title: {text: "depth of the evidence (% of the text before it)"}, type: "category", showgrid: false}, yaxis: {title: {text: "length (tokens)"}, type: "category", showgrid: false}},
    };
  });
  section("Length and depth", "Right answers of one configuration by the prompt's length and the evidence's place in it.",
    el("div", {class: "controls"}, choose("configuration", choices.map((k) => [k, named(k)]), (value) => { state.choice = value; draw(); }, state.choice)), node);
  draw();
}

/** Paired tests: McNemar's exact p of a configuration against a reference. */
const comparisonOf = (c, against) => (data.comparisons || []).find((one) => one.task === c.task && one.length === c.length && one.policy === c.policy && one.against === against);
const pText = (p) => (p === null || p === undefined ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3));
function pairedCell(c, against) {
  const one = comparisonOf(c, against);
  if (!one || !one.n) return "–";
  return el("span", {title: `${one.n} pairs: both right ${one.both}, this alone ${one.only_policy}, ${against} alone ${one.only_reference}; Holm-adjusted p ${pText(one.p_holm)}`}, `${pText(one.p)} (${one.only_policy}:${one.only_reference})`);
}

function accuracyCell(c) {
  if (c.accuracy.mean === null) return "–";
  const bar = el("span", {class: "bar"}, el("b", {style: `width:${100 * c.accuracy.mean}%`}), el("u", {style: `left:${100 * c.accuracy.low}%;width:${100 * (c.accuracy.high - c.accuracy.low)}%`}));
  const text = `${(100 * c.accuracy.mean).toFixed(0)} % (${(100 * c.accuracy.low).toFixed(0)}–${(100 * c.accuracy.high).toFixed(0)}) `;
  return el("span", {}, text, bar);
}

function tablePart() {
  const columns = [
    {name: "task", text: true, value: (c) => c.task}, {name: "length", value: (c) => c.length}, {name: "selection layers", text: true, value: (c) => (c.full ? "full attention" : c.selection)},
    {name: "budget", value: (c) => (c.budget ? parseFloat(c.budget) : null), show: (c) => c.budget || "–"}, {name: "heads", text: true, value: kindOf}, {name: "n", value: (c) => c.n},
    {name: "score (%)", value: (c) => estimateOf(c, "score").mean, show: (c) => number(estimateOf(c, "score").mean === null ? null : 100 * estimateOf(c, "score").mean)}, {name: "of full's (%)", value: (c) => c.score_to_full ?? null, show: (c) => number(c.score_to_full === null || c.score_to_full === undefined ? null : 100 * c.score_to_full)},
    {name: "p against full", value: (c) => comparisonOf(c, "full")?.p ?? null, show: (c) => pairedCell(c, "full")}, {name: "p against oracle", value: (c) => comparisonOf(c, "oracle")?.p ?? null, show: (c) => pairedCell(c, "oracle")},
    {name: "perplexity", value: (c) => estimateOf(c, "perplexity").mean, show: (c) => number(estimateOf(c, "perplexity").mean)},
    {name: "accuracy, 95 % interval", value: (c) => c.accuracy.mean, show: accuracyCell}, {name: "log-prob (nats)", value: (c) => c.answer_logprob.mean, show: (c) => number(c.answer_logprob.mean)},
    {name: "KL (nats)", value: (c) => c.kl.mean, show: (c) => number(c.kl.mean)}, {name: "agree (%)", value: (c) => c.agree.mean, show: (c) => number(c.agree.mean === null ? null : 100 * c.agree.mean)},
    {name: "rows read", value: (c) => c.rows_read.mean, show: (c) => number(c.rows_read.mean, 4)}, {name: "ms a token", value: (c) => c.latency_ms && c.latency_ms.median, show: (c) => number(c.latency_ms && c.latency_ms.median)},
    {name: "failed", value: (c) => c.failed}, {name: "policy", text: true, value: (c) => c.policy},
  ].filter((column) => all.some((c) => column.value(c) !== null && column.value(c) !== undefined));
  const state = {sort: -1, down: false, text: "", budget: "", kind: ""}, body = el("tbody"), head = el("tr"), count = el("p", {class: "notes"});
  const draw = () => {
    let rows = all.filter((c) => (!state.budget || c.budget === state.budget) && (!state.kind || kindOf(c) === state.kind) && (!state.text || (c.name + " " + c.policy + " " + c.task).toLowerCase().includes(state.text.toLowerCase())));
    if (state.sort >= 0) {
      const value = columns[state.sort].value, sign = state.down ? -1 : 1;
      rows = [...rows].sort((a, b) => {
        const x = value(a), y = value(b);
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (typeof x === "string" ? x.localeCompare(y, undefined, {numeric: true}) : x - y);
      });
    }
    body.replaceChildren(...rows.map((c) => el("tr", {class: c.full ? "full" : ""}, columns.map((column) => el("td", {class: column.text ? "text" : ""}, column.name === "policy" ? el("code", {}, c.policy) : (column.show || ((x) => String(column.value(x) ?? "–")))(c))))));
    head.replaceChildren(...columns.map((column, i) => el("th", {class: column.text ? "text" : "", "aria-sort": state.sort === i ? (state.down ? "descending" : "ascending") : "none"},
      el("button", {onclick: () => { state.down = state.sort === i ? !state.down : !column.text; state.sort = i; draw(); }}, column.name + (state.sort === i ? (state.down ? " ↓" : " ↑") : "")))));
    count.textContent = `${rows.length} of ${all.length} configurations. A column's name sorts.`;
  };
  const search = el("input", {type: "search", placeholder: "2+14, needle, …", oninput: () => { state.text = search.value; draw(); }});
  const set = (key) => (value) => { state[key] = value; draw(); };
  section("Every configuration", "Accuracy with its Wilson interval (line over the bar); other means over the same samples. Failed rows are in no mean. p: McNemar's exact test on the same samples, with the pairs that one alone got right.",
    el("div", {class: "controls"}, el("label", {}, "contains", search),
      choose("budget", [["", "every"], ...distinct(all.map((c) => c.budget)).filter(Boolean).sort(budgetOrder)], set("budget"), ""), choose("heads", [["", "all"], ...distinct(all.map(kindOf))], set("kind"), "")),
    el("div", {class: "table"}, el("table", {}, el("thead", {}, head), body)), count);
  draw();
}

function depthPart() {
  const having = cells.filter((cell) => inCell(cell).some((c) => c.by_depth.length > 1));
  if (!having.length) return;
  const state = {cell: 0}, node = el("div", {class: "plot"});
  const draw = () => plot(node, () => {
    const list = inCell(having[state.cell]).filter((c) => c.by_depth.length).slice(0, 40).reverse();
    const depths = distinct(list.flatMap((c) => c.by_depth.map((d) => d.depth))).sort((a, b) => a - b);
    const at = list.map((c) => depths.map((depth) => c.by_depth.find((d) => d.depth === depth)));
    const name = (c) => (narrow() ? `${c.full ? "full" : c.selection} ${c.budget}${c.map ? " m" : ""}` : c.name);
    return {
      traces: [{type: "heatmap", x: depths.map((d) => `${+(100 * d).toFixed(1)}`), y: list.map((c, i) => i), z: at.map((row) => row.map((d) => (d ? (100 * d.correct) / d.n : null))), text: at.map((row) => row.map((d) => (d ? `${d.correct}/${d.n}` : ""))),
        texttemplate: "%{text}", colorscale: "Viridis", zmin: 0, zmax: 100, xgap: 1, ygap: 1, hoverongaps: false, customdata: list.map((c) => depths.map(() => c.name)), hovertemplate: "%{customdata}<br>depth %{x} %<br>%{text} right<extra></extra>", colorbar: colourBar("right (%)")}],
      layout: {height: 120 + 22 * list.length, xaxis: {title: {text: "depth of the needle (% of the text before it)"}, type: "category", showgrid: false}, yaxis: {tickvals: list.map((_, i) => i), ticktext: list.map(name), showgrid: false, ticks: ""}},
    };
  });
  section("Where needles are lost", "Right answers by the needle's depth in the text, best configurations first (40 at most).",
    el("div", {class: "controls"}, ...(having.length > 1 ? [choose("task", having.map((c, i) => [i, cellName(c)]), (i) => { state.cell = Number(i); draw(); }, 0)] : [])), node);
  draw();
}

function failuresPart() {
  if (!data.n_failed) return;
  section("Failed rows", `${data.n_failed} of ${data.n_rows} rows have a status other than ok and are in no mean.`,
    el("div", {class: "table"}, el("table", {}, el("thead", {}, el("tr", {}, el("th", {class: "text"}, "status"), el("th", {}, "rows"))),
      el("tbody", {}, Object.entries(data.failures).map(([status, n]) => el("tr", {}, el("td", {class: "text"}, status), el("td", {}, String(n))))))));
}

show([frontierPart, methodsPart, lengthDepthPart, depthPart, tablePart, failuresPart]);

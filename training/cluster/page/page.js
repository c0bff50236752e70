// The page of a provider: processes and nodes, live. Nothing is loaded from elsewhere, and whatever comes from the
// provider is written as text, never as HTML.

const KEY = "snakegym-token", PCE = -1, TRAIL = 8, KEPT = 5000, LOGGED = 200, NAMED = 24, POLL_MS = 1500;
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#999933", "#6b8e23", "#c44e52"];
const OVER = ["terminated", "failed"];
const $ = (id) => document.getElementById(id);

let token = localStorage.getItem(KEY);
let chosen = named();
let events = [], stream = null, timer = 0, detail = null, looking = "";

// The process that the address names; ids have none of what an address would have to hide.
function named() {
  return /^#[a-z0-9-]+$/.test(location.hash) ? location.hash.slice(1) : "";
}

// ---- asking ----

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...(options.headers || {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) { leave("This token is not good, or no longer."); throw new Error("no token"); }
  return answer;
}

async function get(path) {
  const answer = await ask(path);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.json();
}

function leave(why = "") {
  clearTimeout(timer);
  stream?.abort();
  localStorage.removeItem(KEY);
  token = null;
  $("board").hidden = $("forget").hidden = true;
  $("login").hidden = false;
  $("refused").textContent = why;
  $("connection").textContent = "";
  $("token").focus();
}

function enter() {
  $("login").hidden = true;
  $("board").hidden = $("forget").hidden = false;
  look();
  if (chosen) choose(chosen);
}

// ---- looking ----

async function look() {
  clearTimeout(timer);
  try {
    const [processes, nodes] = await Promise.all([get("processes?limit=200"), get("nodes?limit=500")]);
    $("connection").textContent = "connected";
    showProcesses(processes);
    showNodes(nodes);
    if (!chosen && processes.length) choose(processes[0].id);
    if (chosen) await lookAtDetail();
  } catch (error) {
    if (token) $("connection").textContent = `not connected: ${error.message}`;
  }
  if (token) timer = setTimeout(look, POLL_MS);
}

async function lookAtDetail() {
  const asked = chosen;
  if (looking === asked) return;
  looking = asked;
  try {
    const found = await get(`processes/${encodeURIComponent(asked)}`);
    if (asked === chosen) { detail = found; showDetail(); }
  } finally {
    looking = "";
  }
}

function choose(process) {
  chosen = process;
  history.replaceState(null, "", `#${encodeURIComponent(process)}`);
  events = []; detail = null;
  $("detail").hidden = true;
  $("asked").textContent = "";
  for (const row of $("processes").tBodies[0].rows) row.setAttribute("aria-selected", String(row.dataset.id === chosen));
  stream?.abort();
  stream = new AbortController();
  lookAtDetail().catch(() => {});
  follow(process, stream.signal);
}

// Server-sent events by hand: EventSource cannot send a token, and in an address it would be seen.
async function follow(process, signal) {
  let last = 0, over = false;
  while (!signal.aborted && !over && token) {
    try {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": String(last) };
      const answer = await ask(`processes/${encodeURIComponent(process)}/events`, { headers, signal });
      if (!answer.ok) throw new Error(String(answer.status));
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || signal.aborted) break;
        text += value;
        const records = text.split("\n\n");
        text = records.pop();
        for (const record of records) {
          if (record.startsWith("event: over")) { over = true; continue; }
          const data = record.split("\n").find((line) => line.startsWith("data: "));
          if (!data) continue;
          const event = JSON.parse(data.slice(6));
          last = event.number;
          events.push(event);
        }
        if (events.length > KEPT) events = events.slice(-KEPT);
        await lookAtDetail();
      }
    } catch (error) {
      if (signal.aborted) return;
    }
    if (!over) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

// ---- asking for changes ----

async function change(what, question) {
  const process = chosen;
  $("question").textContent = question;
  $("yes").textContent = what === "stop" ? "Stop" : "Migrate";
  const dialog = $("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return;
  $("asked").textContent = "asked …";
  try {
    const answer = await ask(`processes/${encodeURIComponent(process)}/${what}`, { method: "POST" });
    let operation = await answer.json();
    if (!answer.ok) { $("asked").textContent = operation.detail; return; }
    while (operation.state === "PROCESSING") {
      await new Promise((resolve) => setTimeout(resolve, 400));
      operation = await get(`operations/${operation.id}`);
      $("asked").textContent = `${what}: under way …`;
    }
    $("asked").textContent = operation.state === "COMPLETED" ? `${what}: done` : `${what}: ${operation.detail}`;
  } catch (error) {
    if (token) $("asked").textContent = error.message;
  }
  look();
}

// ---- showing ----

function make(name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function draw(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function amount(value, unit) {
  if (value === null || value === undefined) return "–";
  const power = value >= 1 ? Math.min(5, Math.floor(Math.log10(value) / 3 + 1e-9)) : 0;
  return `${Number((value / 1000 ** power).toPrecision(3))} ${["", "k", "M", "G", "T", "P"][power]}${unit}`;
}

function duration(seconds) {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
const colour = (seat) => (seat === null || seat === undefined || seat < 0 ? "" : COLOURS[seat % COLOURS.length]);

function fill(body, rows) {
  body.replaceChildren(...rows);
}

function showProcesses(processes) {
  $("no-process").hidden = processes.length > 0;
  $("processes").hidden = processes.length === 0;
  fill($("processes").tBodies[0], processes.map((p) => {
    const row = make("tr", "", { "data-id": p.id, "aria-selected": String(p.id === chosen) });
    const first = make("td"), button = make("button", p.id, { type: "button", class: "link" });
    button.addEventListener("click", () => choose(p.id));
    first.append(button);
    const worried = p.state === "failed" || Object.keys(p.promises).length > 0;
    row.append(first, make("td", p.state, { class: worried ? "bad" : OVER.includes(p.state) ? "dim" : "" }),
      make("td", percent(p.metric)), make("td", duration(p.clock_s)), make("td", amount(p.energy_j, "J")),
      make("td", amount(p.n_bytes, "B")), make("td", p.hops), make("td", p.nodes.length), make("td", p.scheduler));
    return row;
  }));
}

function showNodes(nodes) {
  const leased = nodes.filter((n) => n.processes.length).length, alive = nodes.filter((n) => n.alive).length;
  const more = nodes.length === 500 ? " (the first 500)" : "";
  $("node-counts").textContent = `${nodes.length} registered${more}, ${alive} alive, ${leased} leased`;
  fill($("nodes").tBodies[0], nodes.map((n) => {
    const state = !n.authorised ? "not authorised" : !n.alive ? "gone" : n.processes.length ? "leased" : "idle";
    const row = make("tr"), r = n.report;
    row.append(make("td", n.name), make("td", state, { class: n.alive && n.authorised ? "" : "bad" }),
      make("td", percent(r.availability)), make("td", amount(r.uplink_bps, "bit/s")),
      make("td", amount(r.downlink_bps, "bit/s")), make("td", percent(r.battery)), make("td", r.samples ?? "–"),
      make("td", n.processes.join(", ") || "–"));
    return row;
  }));
}

function showDetail() {
  const p = detail;
  if (!p) return;
  $("detail").hidden = false;
  $("detail-title").textContent = p.id;
  const shadow = p.shadow ? `, beside it ${p.shadow}` : "", reason = p.reason ? ` (${p.reason})` : "";
  $("about").textContent = `${p.document.task}. ${p.state}${reason}; decided by ${p.scheduler}${shadow}; priority ` +
    `${p.priority}; seed ${p.seed}${p.machine ? `; on ${p.machine}` : ""}`;
  const promises = Object.entries(p.promises).map(([name, state]) => `${name.replace("_", " ")}: ${state}`);
  $("promise").textContent = promises.length ? `Promise ${promises.join(", ")}` : "";
  $("stop").disabled = OVER.includes(p.state) || p.state === "terminating";
  $("migrate").disabled = p.state !== "running";
  const s = p.snapshot;
  const called = s.called ?? "accuracy";
  $("chart-title").textContent = `Validation ${called}`;
  $("chart").setAttribute("aria-label", `Validation ${called} against time`);
  const totals = { [called[0].toUpperCase() + called.slice(1)]: percent(p.metric), Time: duration(p.clock_s),
    Energy: amount(p.energy_j, "J"), Bytes: amount(p.n_bytes, "B"), Hops: p.hops, Cycle: s.cycle ?? "–", Mode: (s.mode ?? "–").toUpperCase() };
  $("totals").replaceChildren(...Object.entries(totals).map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", name), make("dd", value));
    return pair;
  }));
  showNetwork(s);
  showLayers(s);
  showChart();
  showLog();
}

function showNetwork(s) {
  const seats = s.nodes ?? [], n = seats.length, parts = [];
  if (n === 0) return $("network").replaceChildren();  // nobody has looked at it yet
  const at = (seat) => seat < 0 ? [180, 180] : [180 + 140 * Math.sin((2 * Math.PI * seat) / n), 180 - 140 * Math.cos((2 * Math.PI * seat) / n)];
  for (const seat of seats) {
    const [x, y] = at(seat.seat);
    parts.push(draw("line", { x1: 180, y1: 180, x2: x, y2: y, class: "soft-line" }));
  }
  const hops = events.filter((e) => e.kind === "hop").slice(-TRAIL - 1);
  hops.slice(1).forEach((hop, i) => {
    if (hop.seat === hops[i].seat) return;
    const [x1, y1] = at(hops[i].seat), [x2, y2] = at(hop.seat);
    const bend = `M${x1} ${y1} Q${(x1 + x2) / 4 + 90} ${(y1 + y2) / 4 + 90} ${x2} ${y2}`;
    parts.push(draw("path", { d: bend, class: "path", opacity: ((i + 1) / hops.length).toFixed(2) }));
  });
  parts.push(draw("rect", { x: 168, y: 168, width: 24, height: 24, rx: 4, fill: "var(--raised)", stroke: "var(--ink)" }),
    draw("text", { x: 180, y: 184, "text-anchor": "middle" }, "PCE"));
  const last = hops.length ? hops[hops.length - 1].seat : null, largest = Math.min(16, 300 / Math.max(n, 1));
  for (const seat of seats) {
    const [x, y] = at(seat.seat), radius = largest * (0.45 + 0.55 * (seat.availability ?? 0.5));
    const usable = seat.node !== null && seat.reachable;
    const disc = draw("circle", { cx: x, cy: y, r: radius.toFixed(1), fill: usable ? colour(seat.seat) : "var(--back)",
      stroke: seat.seat === s.holder || seat.seat === last ? "var(--ink)" : colour(seat.seat), "stroke-width": seat.seat === last ? 4 : 2 });
    disc.append(draw("title", {}, `${seat.node ?? "empty seat"}: ${percent(seat.availability)} free, up ` +
      `${amount(seat.uplink_bps, "bit/s")}, down ${amount(seat.downlink_bps, "bit/s")}, ${seat.samples ?? "?"} samples, ${seat.visits} visits`));
    parts.push(disc);
    if (n <= NAMED || seat.seat === last) {
      const out = y < 180 ? y - largest - 4 : y + largest + 11;
      parts.push(draw("text", { x: Math.min(330, Math.max(30, x)), y: out, "text-anchor": "middle" }, seat.node ?? "empty"));
    }
  }
  $("network").replaceChildren(...parts);
}

function showLayers(s) {
  const layers = s.layers ?? [], largest = Math.max(1, ...layers.map((l) => l.n_bytes));
  const names = Object.fromEntries((s.nodes ?? []).map((seat) => [seat.seat, seat.node]));
  $("layers").replaceChildren(...layers.map((layer, i) => {
    const row = make("li"), by = layer.last_seat;
    row.append(make("span", `layer ${i}`));
    const who = by === null || by === undefined ? "not yet" : names[by] ?? `seat ${by}`;
    const bar = make("div", `${amount(layer.n_bytes, "B")} · ${layer.times_trained}× · ${who}`,
      { class: layer.trained_in_cycle ? "bar done" : "bar" });
    bar.style.width = `${(30 + 70 * Math.sqrt(layer.n_bytes / largest)).toFixed(0)}%`;
    if (colour(by)) bar.style.borderLeft = `12px solid ${colour(by)}`;
    row.append(bar);
    return row;
  }));
}

function showChart() {
  const points = events.filter((e) => "metric" in e && ("clock_s" in e || e.kind === "started"))
    .map((e) => [e.clock_s ?? 0, e.metric]);
  const most = Math.max(1e-9, ...points.map((p) => p[0])), top = Math.max(0.2, Math.ceil(5 * Math.max(0, ...points.map((p) => p[1]))) / 5);
  const x = (t) => 34 + (316 * t) / most, y = (m) => 176 - (164 * m) / top, parts = [];
  for (let i = 0; i <= 4; i++) {
    const level = (top * i) / 4;
    parts.push(draw("line", { x1: 34, x2: 350, y1: y(level), y2: y(level), class: "soft-line" }),
      draw("text", { x: 29, y: y(level) + 3, "text-anchor": "end" }, level.toFixed(2)));
  }
  parts.push(draw("text", { x: 34, y: 192 }, "0 s"), draw("text", { x: 350, y: 192, "text-anchor": "end" }, points.length ? duration(most) : ""));
  if (points.length) {
    const line = points.map(([t, m], i) => i === 0 ? `M${x(t).toFixed(1)} ${y(m).toFixed(1)}` : `H${x(t).toFixed(1)}V${y(m).toFixed(1)}`);
    parts.push(draw("path", { d: line.join(""), class: "curve" }));
  }
  $("chart").replaceChildren(...parts);
}

const TOLD = {
  started: (e) => `begun on ${e.machine}, ${e.called ?? "accuracy"} ${percent(e.metric)}`,
  resumed: (e) => `resumed on ${e.machine} after ${e.hops} hops`,
  hop: (e) => `hop ${e.hop}: ${e.node} trained layer ${e.layer}${e.rank ? ` at rank ${e.rank}` : ""}` +
    `${e.along?.length ? ` with ${e.along.join(", ")}` : ""}; ` +
    `${percent(e.metric)} (${e.gain >= 0 ? "+" : ""}${(100 * e.gain).toFixed(1)}), ${duration(e.clock_s - e.start_s)}, ` +
    `${amount(e.energy_j, "J")}, ${amount(e.n_bytes, "B")}${e.interrupted ? `, interrupted (${e.interrupted})` : ""}${shadow(e)}`,
  waited: (e) => `waited${e.reason === "illegal" ? ": the choice was not allowed" : ""}${shadow(e)}`,
  pool: (e) => `${e.node} ${e.joined ? "joined" : "left"} (${e.reason})`,
  recovery: (e) => `gave up ${e.lost}, went back to ${e.source ?? "the PCE"}, ${e.hops_lost} hops lost`,
  leased: (e) => `leased: ${e.nodes.join(", ")}`,
  released: (e) => `released: ${e.nodes.join(", ")}`,
  lost: (e) => `lost: ${e.node}`,
  sla: (e) => `promise ${e.state}: ${e.promise.replace("_", " ")} ${Number(e.promised)}, found ${Number(e.found).toPrecision(3)}`,
  ended: (e) => `ended (${e.reason}): ${e.called ?? "accuracy"} ${percent(e.metric)}, on the test part ${percent(e.test_accuracy)}`,
  failed: (e) => `failed: ${e.reason}`,
};

function shadow(e) {
  const s = e.shadow;
  if (!s) return "";
  const choice = s.failed ? "failed" : s.decision ?? `${s.node}, layer ${s.layer}`;
  return ` [${s.scheduler}: ${choice}]`;
}

function showLog() {
  $("log").replaceChildren(...events.slice(-LOGGED).reverse().map((e) => {
    const time = new Date(1000 * e.at).toLocaleTimeString();
    const text = TOLD[e.kind] ? TOLD[e.kind](e) : e.kind;
    return make("li", `${time} · ${text}`, { class: ["sla", "failed", "lost"].includes(e.kind) ? "bad" : "" });
  }));
}

// ---- beginning ----

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  localStorage.setItem(KEY, token);
  enter();
});
$("forget").addEventListener("click", () => leave());
$("stop").addEventListener("click", () => change("stop", `Stop ${chosen}? What it trained is kept; it cannot be started again.`));
$("migrate").addEventListener("click", () => change("migrate", `Move the Process Controller of ${chosen}? It goes on from its checkpoint.`));
addEventListener("hashchange", () => { const id = named(); if (id && id !== chosen) choose(id); });
if (token) enter(); else leave();

// Lines that several views have: of reports, runs, budgets, and what there is when there is nothing.

import { dollars, el, meter, name, panel, share, since, table } from "./dom.js";
import { costOf } from "./figures.js";
import { amount, count, NONE, percent, plain, ratio, short, whom } from "./format.js";

/** The address of the view of one customer, feature or model. */
export function address(dimension, value) {
  return `#/${dimension}/${encodeURIComponent(value)}`;
}

export function nothing(title, text, command = null) {
  return el("div", { class: "empty big" }, el("h2", {}, title), el("p", {}, text), command && el("p", {}, el("span", { class: "mono command" }, command)));
}

export function nothingYet() {
  return nothing("Nothing recorded yet", "Start a program inside a budget, and its calls appear here while it runs.", "noburn run --budget 5 -- python agent.py");
}

/** A line's cost as something to sort by. */
function cost(row) {
  return Number(row.cost_usd);
}

function keyed(dimension, value) {
  const shown = dimension === "day" ? plain(value) : name(value);
  const quiet = value === NONE ? el("span", { class: "quiet" }, "no ", dimension) : shown;
  return ["customer", "feature", "model"].includes(dimension) ? el("a", { href: address(dimension, value), "data-key": `to-${dimension}-${value}` }, quiet) : quiet;
}

/** The columns of a report's lines by one attribute. */
export function reportColumns(dimension, label) {
  return [
    { label, head: true, cell: (row) => row.total ? "All" : keyed(dimension, row.key[dimension]), sort: (row) => row.key[dimension] },
    { label: "", said: "Share", wide: true, cell: (row) => (row.share === null || row.total ? "" : share(Number(row.share))) },
    { label: "Cost", num: true, cell: (row) => costOf(row), sort: cost },
    { label: "Share", num: true, cell: (row) => (row.share === null || (row.unpriced_calls && row.unpriced_calls >= row.calls) ? "" : percent(Number(row.share))), sort: (row) => Number(row.share ?? 0) },
    { label: "Calls", num: true, cell: (row) => count(row.calls), sort: (row) => row.calls },
    { label: "Tokens in", num: true, cell: (row) => tokens(row.input_tokens), sort: (row) => row.input_tokens },
    { label: "Tokens out", num: true, cell: (row) => tokens(row.output_tokens), sort: (row) => row.output_tokens },
    { label: "Blocked", num: true, cell: (row) => stopped(row), sort: (row) => row.blocked + row.refused },
  ];
}

/** How calls fared, beside what they cost. */
export const LATENCY_COLUMNS = [
  { label: "Errors", num: true, cell: (row) => (row.error_rate === null ? "" : percent(Number(row.error_rate))), sort: (row) => Number(row.error_rate ?? 0) },
  { label: "Half within", num: true, cell: (row) => took(row.p50_latency_ms), sort: (row) => row.p50_latency_ms ?? 0 },
  { label: "95 % within", num: true, cell: (row) => took(row.p95_latency_ms), sort: (row) => row.p95_latency_ms ?? 0 },
];

function took(ms) {
  return ms === null ? "" : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function tokens(value) {
  return el("data", { value, title: `${count(value)} tokens` }, short(value));
}

function stopped(row) {
  const number = row.blocked + row.refused;
  return number ? count(number) : el("span", { class: "quiet" }, "0");
}

/** The dearest lines of a report in a panel, with the way to all of them. */
export function topPanel(title, dimension, href, report, lines = 6) {
  const rows = report.rows.slice(0, lines);
  const columns = reportColumns(dimension, title.slice(0, -1)).filter((_, index) => [0, 1, 2, 3].includes(index));
  const more = report.rows_total > lines ? `all ${count(report.rows_total)}` : "details";
  return panel(
    title, { more: el("a", { class: "more", href, "data-key": `more-${dimension}` }, more, el("span", { class: "sr" }, ` ${title.toLowerCase()}`)) },
    rows.length ? table(`${title} by cost`, columns, rows) : el("p", { class: "empty" }, "No calls in this period."),
  );
}

/** What a report's figures alone do not say. */
export function notes({ total, imported }) {
  const said = [];
  for (const [source, { calls, cost_usd: cost }] of Object.entries(imported?.sources ?? {})) {
    said.push([dollars(cost), ` is of ${count(calls)} ${calls === 1 ? "call" : "calls"} imported from ${plain(source)}: noburn did not stand before them.`]);
  }
  if (imported?.unpriced) said.push([`${count(imported.unpriced)} imported ${imported.unpriced === 1 ? "call has" : "calls have"} no known price: what they cost is unknown, and in no figure. A price file can price them ($NOBURN_PRICES), then `, el("code", {}, "noburn import … --again"), "."]);
  if (total.uncertain_calls) said.push([`${count(total.uncertain_calls)} calls are charged at their hold, `, dollars(total.uncertain_usd), ", because no bill came: ", el("code", {}, "noburn ledger orphans"), " lists them."]);
  if (total.notional_usd !== "0") said.push([dollars(total.notional_usd), " more at list price is notional: subscriptions pay for it, and no cost includes it."]);
  if (total.overage_usd !== "0") said.push([dollars(total.overage_usd), " of the cost is overage, beyond budgets that bill."]);
  return said.length ? el("ul", { class: "quiet" }, said.map((one) => el("li", {}, one))) : null;
}

const STATES = { open: "good", paused: "warn", stopped: "bad" };

/** One open run, its spend against the budget that ends first. */
export function runCard(run, ctx) {
  const id = run.run.split("/").at(-1);
  const facts = [
    ["A minute", dollars(run.usd_per_minute)],
    ["Ends in", run.ends_in_ms === null || run.state !== "open" ? "–" : ends(run.ends_in_ms)],
    ["Held", dollars(run.held_usd)],
    ["Calls", count(run.calls)],
    ["In flight", count(run.open)],
    ["Waiting", run.waiting ? count(run.waiting) : null],
    ["Blocked", run.blocked + run.refused ? count(run.blocked + run.refused) : null],
    ["Age", since(run.started_at_ms)],
  ];
  const attributes = whom(run.attributes);
  return el(
    "li", { class: "panel run" },
    el("div", { class: "head" }, el("h3", { class: "mono" }, name(id)), id !== run.run && el("span", { class: "quiet" }, "in ", el("span", { class: "mono" }, name(run.run.slice(0, -id.length - 1)))), el("span", { class: `pill ${STATES[run.state] ?? ""}` }, run.state), attributes && el("span", { class: "quiet" }, name(attributes))),
    el("p", { class: "mono cmd" }, name(run.command.join(" "))),
    run.message && el("p", { class: "quiet" }, name(run.message)),
    el("p", { class: "spent" }, dollars(run.cost_usd, { class: "value" }), el("span", { class: "quiet" }, "spent")),
    limits(run, id),
    el("dl", { class: "facts" }, facts.filter(([, value]) => value !== null).map(([title, value]) => el("div", {}, el("dt", {}, title), el("dd", {}, value)))),
    ctx.about.allow_changes && acts(run, ctx),
  );
}

/** The run's own limit, and the budget that ends first where that is another one. */
function limits(run, id) {
  const own = run.budgets.find((one) => one.unit === "dollars" && one.name === `run=${id} per run`);
  const first = run.budgets.find((one) => one.name === run.budget);
  const told = [own, first].filter((one, index, all) => one !== undefined && all.indexOf(one) === index);
  if (!told.length) return el("p", { class: "quiet limit" }, "No budget of dollars applies.");
  return told.map((one) => {
    const spent = ratio(one.settled, one.limit);
    return el(
      "div", { class: "limit" },
      el("p", {}, one === own ? "Of its own " : ["Of ", name(one.name), ", "], dollars(one.limit), el("span", { class: "quiet" }, ` · ${percent(spent)} spent`)),
      meter(spent, ratio(one.held, one.limit), `${percent(spent)} of ${amount("dollars", one.limit)} spent`),
    );
  });
}

const FOREVER_MS = 1000 * 3600 * 1000;

function ends(ms) {
  return ms > FOREVER_MS ? "long" : el("span", {}, spanOf(ms));
}

function spanOf(ms) {
  const node = since(0);
  node.removeAttribute("data-since");
  node.dataset.span = String(ms);
  return node;
}

function acts(run, ctx) {
  const act = (what, title, props = {}) => el("button", { type: "button", "data-key": `${what}-${run.run}`, ...props, on: { click: () => ctx.ask(what, run) } }, title);
  return el("div", { class: "acts" }, run.state === "paused" ? act("resume", "Resume") : act("pause", "Pause"), act("stop", "Stop…", { class: "danger" }));
}

/** How full an account is, and how it is told. */
export function fullness(unit, account) {
  const of = (value) => (unit === "dollars" ? Number(value) : value);
  const all = of(account.limit) + of(account.topup) + of(account.carried);
  if (!all) return { spent: account.settled === "0" || account.settled === 0 ? 0 : 1, held: 0 };
  return { spent: of(account.settled) / all, held: of(account.held) / all };
}

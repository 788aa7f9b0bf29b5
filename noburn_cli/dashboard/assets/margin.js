// What customers pay beside what they cost: the worst first, where somebody has to act.

import { chart, label } from "./charts.js";
import { callout, dollars, el, fill, name, panel, part, table } from "./dom.js";
import { count, money, nano, NONE, percent, plain, ratio } from "./format.js";
import { exact, figure } from "./figures.js";
import { address, nothing } from "./parts.js";

const STATES = [["final", "--c3"], ["collected", "--c2"], ["invoiced", "--c5"], ["provisional", "--c6"]];
const WORDS = { final: "final", collected: "collected", invoiced: "invoiced, not paid", provisional: "provisional: rated, nobody was billed" };
const UNDER = { "under water": "bad", "will be under water": "bad", "likely under water": "warn", "may be under water": "warn" };
const BARS_MAX = 24;

/** An amount that may be below nothing, and is seen to be. */
export function signed(text) {
  return dollars(text, { class: nano(text) < 0n ? "up" : null });
}

export function shareOf(text) {
  if (text === null) return el("span", { class: "quiet" }, "–");
  const value = Number(text);
  return el("span", { class: value < 0 ? "up" : null }, value < 0 ? `−${percent(-value)}` : percent(value));
}

function taken(text) {
  return text === "0" ? el("span", { class: "quiet" }, "–") : dollars(text);
}

function verdict(end) {
  if (!end) return "";
  const level = UNDER[end.verdict];
  const said = level ? el("span", { class: `pill ${level}` }, end.verdict) : el("span", { class: "quiet" }, end.verdict);
  return end.margin_usd === null ? said : [said, " ", el("span", { class: "nowrap" }, signed(end.margin_usd), el("span", { class: "quiet" }, " by then"))];
}

/** The parts of the revenue by how certain they are. */
function states(total) {
  const parts = STATES.map(([state, color]) => ({ state, color, text: total[`${state}_usd`] })).filter(({ text }) => nano(text) > 0n);
  if (!parts.length || nano(total.revenue_usd) <= 0n) return null;
  const said = parts.map(({ state, text }) => `${money(text)} ${WORDS[state]}`).join(", ");
  return panel(
    "How certain the revenue is", {},
    el("div", { class: "share states", role: "img", "aria-label": said }, parts.map(({ color, text }) => el("span", { style: { width: `${Math.min(1, ratio(text, total.revenue_usd)) * 100}%`, background: `var(${color})` } }))),
    el("ul", { class: "legend" }, parts.map(({ state, color, text }) => el("li", {}, el("span", { class: "swatch", style: { background: `var(${color})` } }), el("span", {}, dollars(text), ` ${WORDS[state]}`)))),
  );
}

function unmapped(sides, totals) {
  const lists = [
    ["Payers that are nobody’s customer", sides.payers.map((one) => [one.name || one.payer, one.revenue_usd]), totals.payers],
    ["Revenue without calls", sides.revenue_without_calls.map((one) => [one.customer, one.revenue_usd]), totals.revenue_without_calls],
    ["Calls without revenue", sides.calls_without_revenue.map((one) => [one.customer, one.inference_usd]), totals.calls_without_revenue],
  ].filter(([, rows]) => rows.length);
  if (!lists.length) return null;
  return el("div", { class: "two" }, lists.map(([title, rows, all]) => panel(title, { note: count(all) }, table(title, [
    { label: "Who", head: true, cell: ([who]) => (who === NONE ? el("span", { class: "quiet" }, "no customer") : name(who)) },
    { label: title.startsWith("Calls") ? "Inference" : "Revenue", num: true, cell: ([, text]) => dollars(text) },
  ], rows))));
}

function figures({ total, verdicts, period, rows_under_water }) {
  const over = period === "last";
  const under = over ? rows_under_water : verdicts["under water"] ?? 0;
  const soon = (verdicts["will be under water"] ?? 0) + (verdicts["likely under water"] ?? 0);
  return el(
    "dl", { class: "figures" },
    figure("Margin", signed(total.margin_usd), total.margin_share === null ? "" : [shareOf(total.margin_share), " of the revenue"], { class: "figure hero", id: "margin" }),
    figure("Revenue", dollars(total.revenue_usd, { id: "revenue" }), "earned, without tax"),
    figure("Inference", dollars(total.inference_usd), total.uncertain_usd === "0" ? "" : [dollars(total.uncertain_usd), " uncertain"]),
    figure("Fees, overhead", signed(minus(total.overhead_usd, total.fees_usd)), ""),
    figure("Under water", count(under), over ? "customers in that month" : soon ? `${count(soon)} more by the month’s end` : "customers now"),
  );
}

/** Fees are below nothing, overhead above it: both as what they cost. */
function minus(overhead, fees) {
  return exact(nano(overhead) - nano(fees));
}

/** A customer of the ledger leads to their view; a payer that nobody has named leads nowhere. */
function who(row) {
  const { customer } = row.key;
  if (customer === NONE) return el("span", { class: "quiet" }, "no customer");
  return row.calls ? el("a", { href: address("customer", customer), "data-key": `to-${customer}` }, name(customer)) : name(customer);
}

export function margin(main, ctx) {
  const drawn = chart("Margin by customer, the lowest first", { small: true });
  const bars = panel("Margin by customer", { note: "the lowest first" }, drawn.node);
  const head = part((data) => figures(data));
  const body = part((data) => [
    states(data.total),
    panel("Customers", { note: `${data.first_day} to ${data.last_day}` }, table("Margin by customer, the lowest first", columns(data), data.rows, { foot: { ...data.total, all: true } }),
      data.rows_total > data.rows.length ? el("p", { class: "quiet" }, `The ${count(data.rows.length)} of the lowest margin, of ${count(data.rows_total)}; `, el("code", {}, "noburn pnl --format csv"), " has all.") : null),
    unmapped(data.unmapped, data.unmapped_total),
    data.notes.length ? el("ul", { class: "quiet" }, data.notes.map((note) => el("li", {}, plain(note)))) : null,
  ]);
  body.node.className = "stacked";
  const none = el("div", { hidden: true }, nothing("No revenue is known", "Costs are in the ledger. What customers pay comes from Stripe, or from a CSV with noburn import revenue.", "noburn import stripe"));
  const noRate = el("div", { hidden: true });
  fill(main, el("div", { class: "title" }, el("h1", {}, "Margin"), el("p", {}, "What customers pay, beside what they cost")), none, head.node, noRate, bars, body.node);
  for (const node of [head.node, bars, body.node]) node.hidden = true;

  function columns(data) {
    const ends = new Map(data.outlook.map((one) => [one.customer, one]));
    return [
      { label: "Customer", head: true, cell: (row) => (row.all ? "All" : who(row)) },
      { label: "Revenue", num: true, cell: (row) => signed(row.revenue_usd) },
      { label: "Inference", num: true, cell: (row) => dollars(row.inference_usd) },
      { label: "Fees", num: true, cell: (row) => taken(minus("0", row.fees_usd)) },
      { label: "Overhead", num: true, cell: (row) => taken(row.overhead_usd) },
      { label: "Margin", num: true, cell: (row) => signed(row.margin_usd) },
      { label: "Of revenue", num: true, cell: (row) => shareOf(row.margin_share) },
      { label: "State", cell: (row) => row.state && el("span", { class: "quiet" }, row.state) },
      data.period !== "last" && { label: "Month’s end", full: true, cell: (row) => (row.all ? "" : verdict(ends.get(row.key.customer))) },
    ].filter(Boolean);
  }

  function show(data) {
    none.hidden = data.known;
    for (const node of [head.node, bars, body.node]) node.hidden = !data.known;
    if (!data.known) return;
    head.show(data);
    body.show(data);
    const lost = Object.entries(data.no_rate);
    noRate.hidden = lost.length === 0;
    fill(noRate, callout(`Revenue in ${lost.map(([currency]) => currency).join(", ")} has no rate, and is in no figure. `, el("code", {}, "noburn import stripe"), " says what to add."));
    const rows = data.rows.slice(0, BARS_MAX);
    bars.hidden = rows.length < 2 || ctx.about.charts === null;
    if (!bars.hidden) {
      drawn.draw([{
        type: "bar", x: rows.map((_, index) => index), text: rows.map((row) => label(row.key.customer)), textposition: "none", y: rows.map((row) => Number(row.margin_usd)),
        palette: rows.map((row) => (nano(row.margin_usd) < 0n ? "--bad" : "--c3")),
        customdata: rows.map((row) => money(row.margin_usd)), hovertemplate: "%{text}: %{customdata}<extra></extra>",
      }], { hovermode: "closest", xaxis: { showticklabels: false }, yaxis: { tickprefix: "$", nticks: 4 } });
    }
  }

  return { refresh: async () => show(await ctx.get("margin", { period: ctx.period() })) };
}

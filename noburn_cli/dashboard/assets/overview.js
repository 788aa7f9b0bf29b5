// The first view: what was spent, what goes on, and what wants to be looked at.

import { callout, dollars, el, fill, name, panel, part, table } from "./dom.js";
import { chart, label } from "./charts.js";
import { count, day, money, nano, NONE, percent, plain, ratio, span } from "./format.js";
import { fullness, nothingYet, notes, runCard, topPanel } from "./parts.js";

const TITLES = { today: "Today", "7d": "Last 7 days", "30d": "Last 30 days", month: "This month", last: "Last month", all: "All time" };
const BEFORE = { today: "yesterday by now", "7d": "the 7 days before", "30d": "the 30 days before", month: "last month by now", last: "the month before" };
const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5"];
const OTHERS = "--c6";
const HOLD_OLD_MS = 15 * 60 * 1000;
const SERIES = COLORS.length;

/** up 12 % on last month by now: spending less is the good news. */
export function change(total, before, name) {
  if (!before || before.total.cost_usd === "0") return "";
  const now = nano(total.cost_usd);
  const then = nano(before.total.cost_usd);
  if (now === then) return `as ${BEFORE[name]}`;
  const part = Number(((now > then ? now - then : then - now) * 10_000n) / then) / 10_000;
  return el("span", {}, el("span", { class: now > then ? "up" : "down" }, `${now > then ? "▲" : "▼"} ${percent(part)}`), ` on ${BEFORE[name]}`);
}

function figure(title, value, note = "", props = {}) {
  return el("div", { class: "figure", ...props }, el("dt", {}, title), el("dd", { class: "value" }, value), el("dd", { class: "note" }, note));
}

/** Stacks of the dearest models, the others together: {series, days}. */
export function stacks(byDay, byModel) {
  const named = byModel.rows.filter((row) => row.cost_usd !== "0").slice(0, SERIES).map((row) => row.key.model);
  const days = [...new Set(byDay.rows.map((row) => row.key.day))];
  const series = [...named, null].map((model, index) => ({
    model, color: COLORS[index] ?? OTHERS,
    amounts: days.map((at) => byDay.rows
      .filter((row) => row.key.day === at && (model === null ? !named.includes(row.key.model) : row.key.model === model))
      .reduce((sum, row) => sum + nano(row.cost_usd), 0n)),
  })).filter((one) => one.amounts.some((value) => value > 0n));
  if (series.length && series.at(-1).model === null) series.at(-1).color = OTHERS;
  return { series, days };
}

const asDollars = (value) => Number(value) / 1e9;

function exact(value) {
  const text = `${value / 1_000_000_000n}.${(value % 1_000_000_000n).toString().padStart(9, "0")}`;
  return text.replace(/\.?0+$/, "") || "0";
}

export function byDay(overview, drawn) {
  const { series, days } = stacks(overview.by_day, overview.by_model);
  drawn.draw(series.map(({ model, color, amounts }) => ({
    type: "bar", name: label(model === null ? "others" : model), palette: color, x: days, y: amounts.map(asDollars),
    customdata: amounts.map((value) => money(exact(value))), hovertemplate: "%{customdata}",
  })), { barmode: "stack", xaxis: { type: "date", hoverformat: "%a %e %b %Y", tickformat: "%e %b", nticks: 8, ...(days.length < 8 ? { tickvals: days } : {}) }, yaxis: { tickprefix: "$", nticks: 5, rangemode: "tozero" } });
  const legend = el("ul", { class: "legend" }, series.map((one) => el("li", {}, el("span", { class: "swatch", style: { background: `var(${one.color})` } }), one.model === null ? "others" : name(one.model))));
  const totals = days.map((at, index) => ({ at, total: series.reduce((sum, one) => sum + one.amounts[index], 0n) }));
  const columns = [
    { label: "Day", head: true, cell: (row) => el("time", { datetime: row.at }, day(row.at)) },
    { label: "Cost", num: true, cell: (row) => dollars(exact(row.total)) },
  ];
  return [series.length > 1 || series[0]?.model === null ? legend : null, el("details", {}, el("summary", {}, "As a table"), table("Cost by day", columns, totals.reverse()))];
}

/** What wants a look, most pressing first: [level, text, address]. */
export function attention(now, zone) {
  const found = [];
  for (const warning of now.daemon.warnings ?? []) found.push(["bad", [plain(warning)], null]);
  for (const budget of now.budgets ?? []) {
    for (const account of budget.accounts) {
      const { spent, held } = fullness(budget.unit, account);
      const used = spent + held;
      if (used >= 0.8) found.push([used >= 0.995 ? "bad" : "warn", ["Budget ", el("strong", {}, name(account.key)), ` per ${budget.per} is ${percent(used)} used`], "#/budgets"]);
    }
  }
  const holds = now.holds;
  const oldest = holds?.known ? holds.rows[0] : undefined;
  if (oldest && now.now_ms - oldest.reserved_at_ms > HOLD_OLD_MS) {
    found.push(["warn", ["A call has been in flight for ", span(now.now_ms - oldest.reserved_at_ms), `, with ${money(oldest.held_usd)} held`], "#/holds"]);
  }
  if (now.daemon.waiters) found.push(["warn", [`${count(now.daemon.waiters)} calls wait for money in flight`], "#/budgets"]);
  const order = { bad: 0, warn: 1 };
  return found.sort((a, b) => order[a[0]] - order[b[0]]).slice(0, 8);
}

export function overview(main, ctx) {
  const figures = part((spend, now) => figureRow(spend, now));
  const looks = el("div", { hidden: true });
  const runs = part((open) => open.length && panel("Running now", { more: el("a", { class: "more", href: "#/runs", "data-key": "more-runs" }, "all runs") }, el("ul", { class: "runs" }, open.slice(0, 4).map((run) => runCard(run, ctx)))));
  const drawn = chart("Cost by day, by model");
  const below = part((spend) => spend && byDay(spend, drawn));
  const days = panel("Spend by day", {}, drawn.node, below.node);
  const tops = part((spend) => spend && [topPanel("Customers", "customer", "#/customers", spend.by_customer), topPanel("Features", "feature", "#/features", spend.by_feature)]);
  const models = part((spend) => spend && [topPanel("Models", "model", "#/models", spend.by_model, 8), notes(spend.by_model.total)]);
  tops.node.className = "two";
  const noCharts = ctx.about.charts === null && callout("Charts need one more package: ", el("code", {}, ctx.about.charts_next));
  const empty = el("div", { hidden: true }, nothingYet());
  fill(main, el("h1", { class: "sr" }, "Overview"), figures.node, looks, runs.node, empty, days, noCharts, tops.node, models.node);

  let spend = null;
  let now = null;
  function show() {
    const nothing = spend !== null && spend.by_model.rows_total === 0 && now !== null && now.head === null;
    empty.hidden = !nothing;
    for (const node of [days, tops.node, models.node]) node.hidden = nothing;
    if (spend) figures.show(spend, now && { holds: now.holds && [now.holds.known, now.holds.calls, now.holds.held_usd], runs: now.runs.length });
    if (spend && !nothing) for (const one of [below, tops, models]) one.show(spend);
    if (now) {
      runs.show(now.runs);
      const found = attention(now, ctx.about.zone);
      looks.hidden = found.length === 0;
      fill(looks, found.length ? panel("Worth a look", {}, el("ul", { class: "attention" }, found.map(([level, text, to]) => el("li", {}, el("span", { class: `pill ${level}` }, level === "bad" ? "now" : "soon"), to ? el("a", { href: to, "data-key": `look-${to}` }, text) : el("span", {}, text))))) : []);
    }
  }

  function figureRow(shown, open) {
    const total = shown.by_model.total;
    const title = TITLES[shown.period.name];
    const isToday = shown.period.name === "today";
    const held = open?.holds;
    return el(
      "dl", { class: "figures" },
      figure(title, dollars(total.cost_usd, { id: "spend" }), change(total, shown.before, shown.period.name), { class: "figure hero" }),
      isToday ? null : figure("Today", dollars(shown.today.total.cost_usd, { id: "today" }), change(shown.today.total, shown.today_before, "today")),
      figure("Held now", held ? (held[0] ? dollars(held[2]) : "unknown") : dollars("0"), held ? (held[0] ? `${count(held[1])} calls in flight` : "the daemon is not running") : "nothing in flight"),
      figure("Calls", count(total.calls), average(total)),
      figure("Blocked", count(total.blocked + total.refused), total.blocked + total.refused ? el("a", { href: "#/blocks", "data-key": "to-blocks" }, "before they left") : "none"),
    );
  }

  return {
    async refresh() {
      spend = await ctx.get("overview", { period: ctx.period() });
      show();
    },
    now(said) {
      now = said;
      show();
    },
  };
}

function average(total) {
  if (!total.calls) return "";
  return `${money(exact(nano(total.cost_usd) / BigInt(total.calls)))} each`;
}

export { exact, figure, NONE, ratio, TITLES };

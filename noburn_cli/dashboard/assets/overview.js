// The first view: what was spent, what goes on, and what wants to be looked at.

import { chart } from "./charts.js";
import { callout, dollars, el, fill, name, panel, part } from "./dom.js";
import { averageOf, byDay, change, costOf, figure, TITLES } from "./figures.js";
import { count, day, money, percent, plain, span, whole } from "./format.js";
import { shareOf, signed } from "./margin.js";
import { address, fullness, nothing, nothingYet, notes, runCard, topPanel } from "./parts.js";

const HOLD_OLD_MS = 15 * 60 * 1000;

/** What wants a look, most pressing first: [level, text, address, word]. */
export function attention(now, earned, outlook) {
  const found = [];
  for (const warning of now.daemon.warnings ?? []) found.push(["bad", [plain(warning)], null]);
  for (const budget of now.budgets ?? []) {
    for (const account of budget.accounts) {
      const { spent, held } = fullness(budget.unit, account);
      const used = spent + held;
      if (used >= 0.8) found.push([used >= 0.995 ? "bad" : "warn", ["Budget ", el("strong", {}, name(account.key)), ` per ${budget.per} is ${percent(used)} used`], "#/budgets"]);
    }
  }
  for (const end of earned?.outlook ?? []) {
    if (end.verdict === "under water") found.push(["bad", ["Customer ", el("strong", {}, name(end.customer)), ` costs ${money(end.margin_now_usd.replace("-", ""))} more this month than they bring`], "#/margin"]);
    else if (end.verdict === "will be under water") found.push(["warn", ["Customer ", el("strong", {}, name(end.customer)), " will be under water by the month’s end"], "#/margin"]);
  }
  for (const one of (outlook?.unusual?.rows ?? []).slice(0, 3)) {
    found.push(["warn", ["Customer ", el("strong", {}, name(one.key.customer)), ` spent ${money(one.cost_usd)} on ${day(one.day)}, ${Number(one.times).toFixed(1)} times the usual`], address("customer", one.key.customer), "unusual"]);
  }
  const holds = now.holds;
  const oldest = holds?.known ? holds.rows[0] : undefined;
  if (oldest && now.now_ms - oldest.reserved_at_ms > HOLD_OLD_MS) {
    found.push(["warn", ["A call has been in flight for ", span(now.now_ms - oldest.reserved_at_ms), `, with ${money(oldest.held_usd)} held`], "#/holds", "long"]);
  }
  if (now.daemon.waiters) found.push(["warn", [`${count(now.daemon.waiters)} calls wait for money in flight`], "#/budgets", "waiting"]);
  const order = { bad: 0, warn: 1 };
  return found.sort((a, b) => order[a[0]] - order[b[0]]).slice(0, 8);
}

/** On course for so much, in the month that goes on; nothing where too little is known. */
function ends(shown, forecast) {
  if (shown.period.name !== "month" || !forecast?.expected_usd || forecast.expected_usd === "0") return "";
  const range = `${money(forecast.low_usd)} to ${money(forecast.high_usd)} with a confidence of 80 %`;
  return el("span", { class: "ends", title: range }, "on course for ", dollars(forecast.expected_usd, { id: "forecast", title: range }), ` (${whole(forecast.low_usd)}–${whole(forecast.high_usd)})`);
}

/** What is held: known while a daemon runs, and only once it has been asked. */
function heldFigure(open) {
  if (open === null) return figure("Held now", "–");
  if (open.holds === null) return figure("Held now", dollars("0"), "nothing in flight");
  const [known, calls, held] = open.holds;
  if (!known) return figure("Held now", "unknown", "the daemon is not running");
  return figure("Held now", dollars(held), `${count(calls)} ${calls === 1 ? "call" : "calls"} in flight`);
}

export function overview(main, ctx) {
  const figures = part(figureRow);
  const looks = el("div", { hidden: true });
  const runs = part((open) => open.length > 0 && panel("Running now", { more: el("a", { class: "more", href: "#/runs", "data-key": "more-runs" }, "all runs") }, el("ul", { class: "runs" }, open.slice(0, 4).map((run) => runCard(run, ctx)))));
  const drawn = chart("Cost by day, by model");
  const below = part((spend) => spend && byDay(spend, drawn));
  const days = panel("Spend by day", {}, drawn.node, below.node);
  const tops = part((spend) => spend && [topPanel("Customers", "customer", "#/customers", spend.by_customer), topPanel("Features", "feature", "#/features", spend.by_feature)]);
  const models = part((spend) => spend && [topPanel("Models", "model", "#/models", spend.by_model, 8), notes(spend.by_model)]);
  tops.node.className = "two";
  const noCharts = ctx.about.charts === null && callout("Charts need one more package: ", el("code", {}, ctx.about.charts_next));
  const empty = el("div", { hidden: true }, nothingYet());
  const quiet = el("div", { hidden: true }, nothing("No calls in this period", "There are calls of other times: choose another period above."));
  fill(main, el("h1", { class: "sr" }, "Overview"), figures.node, looks, runs.node, empty, quiet, days, noCharts, tops.node, models.node);

  days.hidden = true;
  let spend = null;
  let now = null;
  let earned = null;
  let outlook = null;
  function show() {
    const none = spend !== null && spend.by_model.rows_total === 0;
    const never = now !== null && now.head === null && !now.imported;
    empty.hidden = !(none && never);
    quiet.hidden = !none || never || now === null;
    for (const node of [days, tops.node, models.node]) node.hidden = none || spend === null;
    if (spend) figures.show(spend, now && { holds: now.holds && [now.holds.known, now.holds.calls, now.holds.held_usd], runs: now.runs.length }, earned && { margin: earned.total.margin_usd, share: earned.total.margin_share }, outlook?.forecast);
    if (spend && !none) for (const one of [below, tops, models]) one.show(spend);
    if (now) {
      runs.show(now.runs);
      const found = attention(now, earned, outlook);
      looks.hidden = found.length === 0;
      fill(looks, found.length ? panel("Worth a look", {}, el("ul", { class: "attention" }, found.map(([level, text, to, word]) => el("li", {}, el("span", { class: `pill ${level}` }, word ?? (level === "bad" ? "now" : "soon")), to ? el("a", { href: to, "data-key": `look-${to}` }, text) : el("span", {}, text))))) : []);
    }
  }

  function figureRow(shown, open, profit, forecast) {
    const total = shown.by_model.total;
    const title = TITLES[shown.period.name];
    const isToday = shown.period.name === "today";
    return el(
      "dl", { class: "figures" },
      figure(title, costOf(total, { id: "spend" }), [change(total, shown.before, shown.period.name), ends(shown, forecast)], { class: "figure hero" }),
      isToday ? null : figure("Today", costOf(shown.today.total, { id: "today" }), change(shown.today.total, shown.today_before, "today")),
      profit && figure("Margin", signed(profit.margin), profit.share === null ? "" : [shareOf(profit.share), shown.period.name === "all" ? " of this year’s revenue" : " of the revenue"]),
      heldFigure(open),
      figure("Calls", count(total.calls), average(total)),
      figure("Blocked", count(total.blocked + total.refused), total.blocked + total.refused ? el("a", { href: "#/blocks", "data-key": "to-blocks" }, "before they left") : "none"),
    );
  }

  return {
    async refresh() {
      const period = ctx.period();
      spend = await ctx.get("overview", { period });
      show();
      const found = await ctx.get("margin", { period });
      earned = found.known ? found : null;
      outlook = await ctx.get("outlook");
      show();
    },
    now(said) {
      now = said;
      show();
    },
  };
}

function average(total) {
  const each = averageOf(total);
  return each === null ? "" : `${money(each)} each`;
}

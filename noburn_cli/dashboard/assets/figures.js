// Figures that several views begin with, and the chart of days.

import { dollars, el, name, table } from "./dom.js";
import { label } from "./charts.js";
import { count, day, money, nano, percent } from "./format.js";

export const TITLES = { today: "Today", "7d": "Last 7 days", "30d": "Last 30 days", month: "This month", last: "Last month", all: "All time" };
const BEFORE = { today: "yesterday by now", "7d": "the 7 days before", "30d": "the 30 days before", month: "last month by now", last: "the month before" };
const COLORS = ["--c1", "--c2", "--c3", "--c4", "--c5"];
const OTHERS = "--c6";
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

export function figure(title, value, note = "", props = {}) {
  return el("div", { class: "figure", ...props }, el("dt", {}, title), el("dd", { class: "value" }, value), el("dd", { class: "note" }, note));
}

/** Stacks of the dearest models, the others together: {series, days}. */
export function stacks(byDay, byModel) {
  const named = byModel.rows.filter((row) => row.cost_usd !== "0").slice(0, SERIES).map((row) => row.key.model);
  const place = new Map(named.map((model, index) => [model, index]));
  const sums = new Map();
  for (const row of byDay.rows) {
    if (!sums.has(row.key.day)) sums.set(row.key.day, Array(named.length + 1).fill(0n));
    sums.get(row.key.day)[place.get(row.key.model) ?? named.length] += nano(row.cost_usd);
  }
  const days = [...sums.keys()];
  const series = [...named, null].map((model, index) => ({
    model, color: COLORS[index] ?? OTHERS, amounts: days.map((at) => sums.get(at)[index]),
  })).filter((one) => one.amounts.some((value) => value > 0n));
  if (series.length && series.at(-1).model === null) series.at(-1).color = OTHERS;
  return { series, days };
}

const asDollars = (value) => Number(value) / 1e9;

/** Whole nano-dollars as exact decimal text. */
export function exact(value) {
  const size = value < 0n ? -value : value;
  const text = `${size / 1_000_000_000n}.${(size % 1_000_000_000n).toString().padStart(9, "0")}`;
  return (value < 0n ? "-" : "") + text.replace(/\.?0+$/, "");
}

/** A cost; unknown where nobody knows a price for any of the calls, which is not nothing. */
export function costOf(row, props = {}) {
  if (!row.unpriced_calls) return dollars(row.cost_usd, props);
  const title = `${count(row.unpriced_calls)} of ${count(row.calls)} calls have no known price`;
  if (row.unpriced_calls >= row.calls && row.cost_usd === "0") return el("data", { ...props, value: row.cost_usd, title, class: "quiet" }, "unknown");
  return [dollars(row.cost_usd, props), el("span", { class: "quiet", title }, " + ?")];
}

/** What a call costs on average, of those whose cost is known; null without one. */
export function averageOf(total) {
  const known = total.calls - (total.unpriced_calls ?? 0);
  return known > 0 ? exact(nano(total.cost_usd) / BigInt(known)) : null;
}

export function byDay(overview, drawn) {
  const { series, days } = stacks(overview.by_day, overview.by_model);
  drawn.draw(series.map(({ model, color, amounts }) => ({
    type: "bar", name: label(model === null ? "others" : model), palette: color, x: days, y: amounts.map(asDollars),
    customdata: amounts.map((value) => money(exact(value))), hovertemplate: "%{customdata}",
  })), { barmode: "stack", xaxis: { type: "date", hoverformat: "%a %e %b %Y", tickformat: "%e %b", nticks: 8, ...(days.length < 8 ? { tickvals: days } : {}) }, yaxis: { tickprefix: "$", nticks: 5, rangemode: "tozero" } });
  const legend = el("ul", { class: "legend" }, series.map((one) => el("li", {}, el("span", { class: "swatch", style: { background: `var(${one.color})` } }), one.model === null ? "others" : name(one.model))));
  const sum = (at, of) => overview.by_day.rows.reduce((all, row) => all + (row.key.day === at ? of(row) : 0), 0);
  const totals = days.map((at, index) => ({
    at, cost_usd: exact(series.reduce((all, one) => all + one.amounts[index], 0n)), calls: sum(at, (row) => row.calls), unpriced_calls: sum(at, (row) => row.unpriced_calls ?? 0),
  }));
  const columns = [
    { label: "Day", head: true, cell: (row) => el("time", { datetime: row.at }, day(row.at)) },
    { label: "Cost", num: true, cell: (row) => costOf(row) },
  ];
  return [series.length > 1 || series[0]?.model === null ? legend : null, el("details", {}, el("summary", {}, "As a table"), table("Cost by day", columns, totals.reverse()))];
}

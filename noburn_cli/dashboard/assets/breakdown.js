// Who and what the money went to: customers, features, models; all of them, or one.

import { chart, label } from "./charts.js";
import { dollars, el, fill, name, panel, part, table } from "./dom.js";
import { count, money, nano, NONE, percent, plain } from "./format.js";
import { averageOf, byDay, change, costOf, figure, TITLES } from "./figures.js";
import { signed } from "./margin.js";
import { address, LATENCY_COLUMNS, notes, nothing, reportColumns, tokens, topPanel } from "./parts.js";

const WORDS = {
  customers: ["customer", "Customers", "customer"],
  features: ["feature", "Features", "feature"],
  models: ["model", "Models", "model"],
};
const PARETO_MAX = 20;

/** How many of the lines make most of the cost: where to look first. */
function concentration(report, word) {
  const all = nano(report.total.cost_usd);
  if (all === 0n || report.rows_total < 5) return null;
  let sum = 0n;
  for (const [index, row] of report.rows.entries()) {
    sum += nano(row.cost_usd);
    if (sum * 10n >= all * 7n) {
      return `${index + 1} of ${count(report.rows_total)} ${word}s cause ${percent(Number((sum * 1000n) / all) / 1000)} of the spend`;
    }
  }
  return null;
}

/** How many users or customers a feature serves, of all. */
function servedColumn(served) {
  const counts = new Map(served.rows.map((row) => [row.key.feature, row.served]));
  const of = (row) => (row.total ? served.served_total : counts.get(row.key.feature) ?? 0);
  return { label: served.served === "user" ? "Users" : "Customers", num: true, cell: (row) => count(of(row)), sort: of };
}

const NAME_MAX = 18;

function brief(text) {
  return text.length > NAME_MAX ? `${text.slice(0, NAME_MAX - 1)}…` : text;
}

/** Bars by place: two names that look alike once they are shortened stay two. */
function named(names) {
  return { x: names.map((_, index) => index), text: names.map(label), textposition: "none" };
}

const TICKS_MAX = 12;
const TICKS_WIDTH = 640;

function axisOf(names) {
  const legible = names.length <= TICKS_MAX && innerWidth > TICKS_WIDTH;
  return { tickangle: names.length > 5 ? -35 : 0, showticklabels: legible, tickvals: names.map((_, index) => index), ticktext: names.map((one) => label(brief(one))) };
}

/** What each customer or feature earns, where revenue is known: by its name. */
async function margins(ctx, dimension) {
  if (dimension === "model") return null;
  const found = await ctx.get("margins", { period: ctx.period(), by: dimension });
  return found.known ? found.margin_usd : null;
}

/** A view of every line by one attribute. */
export function breakdown(which) {
  return (main, ctx) => {
    const [dimension, title, word] = WORDS[which];
    let report = null;
    let order = null;
    let earned = null;
    let served = null;
    const note = el("p", {});
    const filter = el("input", { type: "search", placeholder: `Find a ${word}`, "aria-label": `Find a ${word}`, id: "find", on: { input: () => show() } });
    const drawn = chart(`${title} by cost`, { small: true });
    const bars = panel(`${title} by cost`, {}, drawn.node);
    const body = part(lines);
    fill(main, el("div", { class: "title" }, el("h1", {}, title), note, filter), bars, body.node);

    function lines(shown, rows, sorting, _earned, _served, wanted) {
      if (!shown.rows.length) return nothing("No calls in this period", "Choose another period above, or name whom calls are for:", `noburn run --${dimension === "model" ? "customer" : dimension} acme -- COMMAND`);
      const sorted = (next) => {
        order = next;
        show();
      };
      const cut = shown.rows_total > shown.rows.length;
      const elsewhere = cut && wanted && !rows.length ? el("p", {}, "None of these is called so. ", el("a", { id: "elsewhere", href: address(dimension, wanted) }, "Look at ", name(wanted), " among the others")) : null;
      const told = cut ? el("p", { class: "quiet" }, `The dearest ${count(shown.rows.length)} of ${count(shown.rows_total)}; `, el("code", {}, `noburn report --by ${dimension} --csv`), " has all.") : null;
      return panel(
        TITLES[shown.period.name], { note: `${count(shown.rows_total)} ${word}${shown.rows_total === 1 ? "" : "s"}` },
        table(`${title}: cost, calls and tokens`, columnsOf(title), rows, { foot: { ...shown.total, total: true, key: {} }, order: sorting, sorted }),
        elsewhere, told, notes(shown),
      );
    }

    function columnsOf(heading) {
      const columns = reportColumns(dimension, heading.slice(0, -1));
      if (dimension === "model") return [...columns, ...LATENCY_COLUMNS];
      if (served?.served) columns.splice(4, 0, servedColumn(served));
      if (earned === null) return columns;
      const of = (row) => (Object.hasOwn(earned, row.key[dimension] ?? "") ? earned[row.key[dimension]] : null);
      const margin = { label: "Margin", num: true, cell: (row) => of(row) && signed(of(row)), sort: (row) => Number(of(row) ?? 0) };
      return [...columns.slice(0, 4), margin, ...columns.slice(4)];
    }

    function show() {
      if (report === null) return;
      const wanted = filter.value.trim().toLowerCase();
      const rows = report.rows.filter((row) => row.key[dimension].toLowerCase().includes(wanted));
      note.textContent = concentration(report, word) ?? "";
      body.show(report, rows, order, earned, served, filter.value.trim());
      const top = report.rows.filter((row) => row.cost_usd !== "0").slice(0, PARETO_MAX);
      bars.hidden = top.length < 2 || ctx.about.charts === null;
      if (!bars.hidden) {
        drawn.draw([{ type: "bar", palette: "--c1", ...named(top.map((row) => row.key[dimension])), y: top.map((row) => Number(row.cost_usd)), customdata: top.map((row) => money(row.cost_usd)), hovertemplate: "%{text}: %{customdata}<extra></extra>" }],
          { hovermode: "closest", xaxis: axisOf(top.map((row) => row.key[dimension])), yaxis: { tickprefix: "$", nticks: 4 } });
      }
    }

    return {
      async refresh() {
        report = await ctx.get("report", { by: dimension, period: ctx.period(), ...(dimension === "model" ? { latency: 1 } : {}) });
        show();
        earned = await margins(ctx, dimension);
        served = dimension === "feature" ? await ctx.get("served", { by: dimension, period: ctx.period() }) : null;
        show();
      },
    };
  };
}

const BESIDE = { customer: ["feature", "model"], feature: ["customer", "model"], model: ["customer", "feature"] };
const ALL = { customer: "#/customers", feature: "#/features", model: "#/models" };
const TITLE_OF = { customer: "Customers", feature: "Features", model: "Models" };

/** One customer, feature or model: its days, and what is beside it. */
export function detail(dimension) {
  return (main, ctx, value) => {
    const head = part((report) => figures(report));
    const drawn = chart("Cost by day");
    const days = part((by) => byDay(by, drawn));
    const beside = part((first, second) => BESIDE[dimension].map((one, index) => topPanel(TITLE_OF[one], one, ALL[one], [first, second][index], 12)));
    beside.node.className = "two";
    const title = value === NONE ? `No ${dimension}` : plain(value);
    fill(
      main, el("div", { class: "title" }, el("h1", {}, el("bdi", {}, title)), el("p", {}, el("a", { href: ALL[dimension] }, `All ${TITLE_OF[dimension].toLowerCase()}`))),
      head.node, panel("Spend by day", {}, drawn.node, days.node), beside.node,
    );

    function figures(report) {
      const total = report.total;
      return el(
        "dl", { class: "figures" },
        figure(TITLES[report.period.name], costOf(total, { id: "spend" }), change(total, report.before, report.period.name), { class: "figure hero" }),
        figure("Calls", count(total.calls), averageOf(total) === null ? "" : ["each ", dollars(averageOf(total))]),
        figure("Tokens", tokens(total.input_tokens + total.output_tokens), `${count(total.output_tokens)} out`),
        figure("Blocked", count(total.blocked + total.refused), ""),
      );
    }

    return {
      async refresh() {
        const period = ctx.period();
        const where = { [dimension]: value };
        const [first, second, byModel, by_day] = await Promise.all([
          ...BESIDE[dimension].map((one) => ctx.get("report", { by: one, period, ...where })),
          ctx.get("report", { by: "model", period, ...where }),
          ctx.get("report", { by: "day,model", period, ...where }),
        ]);
        head.show(byModel);
        days.show({ by_day, by_model: byModel });
        beside.show(first, second);
      },
    };
  };
}

// What holds now: runs, budgets, holds, and the calls that were stopped.

import { callout, dollars, el, fill, meter, name, panel, part, since, table } from "./dom.js";
import { amount, clock, count, moment, percent, whom } from "./format.js";
import { fullness, nothing, runCard } from "./parts.js";

function away(now) {
  return callout("The daemon is not running, so no run is open, and what is held is not known. ", "It starts by itself with the next ", el("code", {}, "noburn run"), ", or with ", el("code", {}, "noburn daemon start"), ".");
}

export function runs(main, ctx) {
  const body = part((open, up) => {
    if (!up) return away();
    if (!open.length) return nothing("No run is open", "An open run shows here what it spends while it does, against its limit.", "noburn run --budget 5 -- python agent.py");
    return el("ul", { class: "runs" }, open.map((run) => runCard(run, ctx)));
  });
  fill(main, el("div", { class: "title" }, el("h1", {}, "Runs"), el("p", {}, "Open now, with what they spend")), body.node);
  return { now: (said) => body.show(said.runs, said.daemon.up) };
}

const ACTIONS = { block: "blocks", kill: "ends the run", warn: "only warns", downgrade: "takes a cheaper model", bill: "bills overage" };

/** A budget's own line, or of a family its heading and a line for each account. */
function budgetRows(budgets) {
  return budgets.flatMap((budget) => {
    if (budget.per === "call") return [{ budget, account: null }];
    const accounts = budget.accounts.map((account) => ({ budget, account, child: budget.family }));
    return budget.family || !accounts.length ? [{ budget, account: null }, ...accounts] : accounts;
  });
}

function capacity(unit, account) {
  const more = [["topup", "topped up"], ["carried", "carried over"]].filter(([key]) => String(account[key]) !== "0");
  return [value(unit, account.limit), ...more.map(([key, word]) => el("span", { class: "quiet" }, " + ", value(unit, account[key]), ` ${word}`))];
}

function value(unit, given) {
  return unit === "dollars" ? dollars(String(given)) : amount(unit, given);
}

function resets(budget, account, zone) {
  if (account.resets_at_ms === null) return /^\d/.test(budget.per) ? "rolls" : "never";
  return since(account.resets_at_ms, { until: true, title: moment(account.resets_at_ms, zone) });
}

export function budgets(main, ctx) {
  const body = part((shown, known) => {
    if (!shown) return null;
    if (!shown.length) return nothing("No budgets yet", "A budget is a limit that calls cannot pass, for each customer, feature, project or run.", "noburn budget set 'customer=*' 5 --per month");
    const held = (row, cell) => (known ? cell() : el("span", { class: "quiet" }, "unknown"));
    const columns = [
      { label: "Budget", head: true, cell: ({ budget, account, child }) => (child ? name(account.key) : [name(budget.scope), el("span", { class: "quiet" }, ` per ${budget.per}${budget.family ? ", each" : ""} · ${ACTIONS[budget.action] ?? budget.action}`)]) },
      { label: "Used", wide: true, cell: ({ budget, account }) => account && full(budget, account) },
      { label: "Spent", num: true, cell: ({ budget, account }) => account && value(budget.unit, account.settled) },
      { label: "Held", num: true, cell: (row) => row.account && held(row, () => value(row.budget.unit, row.account.held)) },
      { label: "Limit", num: true, cell: ({ budget, account }) => (account ? capacity(budget.unit, account) : value(budget.unit, budget.limit ?? 0)) },
      { label: "Left", num: true, cell: (row) => row.account && held(row, () => value(row.budget.unit, row.account.left)) },
      { label: "Resets", num: true, cell: ({ budget, account }) => (account ? resets(budget, account, ctx.about.zone) : budget.per === "call" ? "each call" : "") },
    ];
    if (ctx.about.allow_changes) columns.push({ label: "", said: "Changes", full: true, cell: (row) => row.account && topUp(row, ctx) });
    const cut = shown.filter((budget) => budget.accounts_total > budget.accounts.length);
    return panel("All budgets", { note: known ? "spent, held and left in the window that goes on" : "as of the file's last snapshot" },
      table("Budgets", columns, budgetRows(shown), { classOf: (row) => row.child && "child" }),
      cut.map((budget) => el("p", { class: "quiet" }, `Of ${budget.name} the fullest ${count(budget.accounts.length)} of ${count(budget.accounts_total)} are shown; `, el("code", {}, "noburn budget list"), " has all.")));
  });
  const note = el("div", { hidden: true }, away());
  fill(main, el("div", { class: "title" }, el("h1", {}, "Budgets")), note, body.node);
  return {
    now(said) {
      note.hidden = said.daemon.up;
      body.show(said.budgets, said.daemon.up);
    },
  };
}

function full(budget, account) {
  const { spent, held } = fullness(budget.unit, account);
  return meter(spent, held, `${percent(spent)} spent, ${percent(held)} held`);
}

function topUp({ budget, account }, ctx) {
  return el("button", { type: "button", "data-key": `topup-${budget.name}-${account.key}`, on: { click: () => ctx.ask("topup", { budget, account }) } }, "Top up…");
}

export function holds(main, ctx) {
  const body = part((held) => {
    if (held === null) return nothing("Nothing is held", "Money is held for a call from before it leaves until its bill is known.");
    const unknown = held.known ? null : away();
    if (!held.calls) return [unknown, held.known && nothing("Nothing is in flight", "Money is held for a call from before it leaves until its bill is known.")];
    const columns = [
      { label: "Call", head: true, cell: (row) => el("span", { class: "mono" }, name(row.call)) },
      { label: "Model", cell: (row) => name(row.model) },
      { label: "For", cell: (row) => name(whom(row.attributes)) },
      { label: "Run", cell: (row) => row.attributes.run && el("span", { class: "mono" }, name(row.attributes.run)) },
      { label: "Owner", cell: (row) => (row.owner_pid === null ? "not known" : el("span", { class: "num" }, `process ${row.owner_pid}`)) },
      { label: "Held", num: true, cell: (row) => dollars(row.held_usd) },
      { label: "Age", num: true, cell: (row) => since(row.reserved_at_ms, { title: clock(row.reserved_at_ms, ctx.about.zone) }) },
    ];
    const more = held.calls > held.rows.length ? `the oldest ${count(held.rows.length)} are shown` : null;
    return [
      unknown,
      panel(held.known ? "In flight" : "In flight when the file was last written", { note: [`${count(held.calls)} ${held.calls === 1 ? "call" : "calls"}, `, dollars(held.held_usd, { id: "held" }), " held"] },
        table("Calls in flight, oldest first", columns, held.rows), more && el("p", { class: "quiet" }, more)),
    ];
  });
  fill(main, el("div", { class: "title" }, el("h1", {}, "Holds"), el("p", {}, "What is set aside for calls that have not ended")), body.node);
  return { now: (said) => body.show(said.holds) };
}

export function blocks(main, ctx) {
  const body = part((rows) => {
    if (!rows.length) return nothing("No call was blocked lately", "A call that does not fit its budgets is stopped here before it leaves, and costs nothing.");
    const columns = [
      { label: "When", head: true, cell: (row) => el("time", { datetime: new Date(row.at_ms).toISOString(), class: "nowrap" }, clock(row.at_ms, ctx.about.zone)) },
      { label: "Why", full: true, cell: (row) => [el("span", { class: `pill ${row.state === "blocked" ? "bad" : "warn"}` }, row.state), " ", name(row.why)] },
      { label: "Model", cell: (row) => row.model && name(row.model) },
      { label: "For", cell: (row) => name(whom(row.attributes)) },
      { label: "Call", cell: (row) => el("span", { class: "mono", title: `noburn why ${row.call}` }, name(row.call)) },
    ];
    return panel("The last ones", { note: ["the arithmetic of one: ", el("code", {}, "noburn why CALL")] }, table("Blocked calls, newest first", columns, rows));
  });
  fill(main, el("div", { class: "title" }, el("h1", {}, "Blocks"), el("p", {}, "Calls that never left")), body.node);
  return { refresh: async () => body.show((await ctx.get("blocks")).rows) };
}

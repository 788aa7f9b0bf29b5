// Where the page begins: which view is shown, when it is drawn anew, and what is said of the daemon.

import { get, listen, Refused, StillReading } from "./api.js";
import { asker } from "./asking.js";
import { breakdown, detail } from "./breakdown.js";
import { callout, el, fill } from "./dom.js";
import { count, plain, span } from "./format.js";
import { margin } from "./margin.js";
import { overview } from "./overview.js";
import { blocks, budgets, holds, runs } from "./state.js";

const VIEWS = [
  ["overview", "Overview", overview], ["runs", "Runs", runs], ["customers", "Customers", breakdown("customers")],
  ["features", "Features", breakdown("features")], ["models", "Models", breakdown("models")], ["margin", "Margin", margin],
  ["budgets", "Budgets", budgets], ["holds", "Holds", holds], ["blocks", "Blocks", blocks],
];
const DETAILS = { customer: ["customers", detail("customer")], feature: ["features", detail("feature")], model: ["models", detail("model")] };
/** Between two times that figures are asked for, while calls are made; in ms. */
const REFRESH_MS = 2_000;
const REFRESH_SHARE = 5;
const TOAST_MS = 8_000;
const STALE_MS = 300_000;

/** Views whose figures are of a period. */
const OF_PERIOD = new Set(["overview", "customers", "features", "models", "margin"]);
const PERIOD_KEPT = "noburn.period";

const main = document.getElementById("main");
const period = document.getElementById("period");
const said = document.getElementById("said");
const daemon = document.getElementById("daemon");

let view = null;
let last = null;
let skew = 0;
let shownMark = null;
let due = null;
let asking = false;
let again = false;
let took = 0;
let asked = 0;

function say(text) {
  said.textContent = plain(text);
  setTimeout(() => {
    if (said.textContent === plain(text)) said.textContent = "";
  }, TOAST_MS);
}

/** Spans that grow or shrink by themselves. */
function tick() {
  const now = Date.now() + skew;
  for (const node of document.querySelectorAll("time[data-since], time[data-until], time[data-span]")) {
    const { since, until, span: length } = node.dataset;
    const text = length !== undefined ? span(+length) : until !== undefined ? `in ${span(+until - now)}` : span(now - +since);
    if (node.textContent !== text) node.textContent = text;
  }
}

function pill(level, text, title = "") {
  if (daemon.textContent !== text) daemon.textContent = text;
  daemon.className = `pill ${level}`;
  daemon.title = title;
}

function tellDaemon(document) {
  if (document.daemon.up) pill("good", "live", `daemon ${document.daemon.version}, process ${document.daemon.pid}`);
  else pill("warn", "no daemon", [document.daemon.message, document.daemon.why].filter(Boolean).join(": "));
}

/** The first look at a long ledger takes a while: how far it has come. */
function tellCounting(counting) {
  const note = document.getElementById("counting");
  note.hidden = counting === null;
  const text = counting && `Reading the ledger: ${count(counting[0])} of ${count(counting[1])} entries. Later looks take a moment.`;
  if (text && note.textContent !== text) note.textContent = text;
}

function failed(problem) {
  const lines = problem instanceof Refused ? [problem.message, problem.why, problem.next] : [String(problem)];
  const note = document.getElementById("trouble") ?? el("div", { id: "trouble" });
  fill(note, el("p", { class: "callout bad", role: "alert" }, lines.filter(Boolean).map(plain).join(". ")));
  main.prepend(note);
}

/** Ask for the view's figures; one question at a time, and another when one came in between. */
async function refresh() {
  clearTimeout(due);
  due = null;
  if (asking) {
    again = true;
    return;
  }
  if (!view?.refresh) return;
  asking = true;
  const current = view;
  const began = performance.now();
  const mark = markOf(last);
  try {
    await current.refresh();
    if (current === view) {
      shownMark = mark;
      document.getElementById("trouble")?.remove();
      main.setAttribute("aria-busy", "false");
    }
  } catch (problem) {
    if (problem instanceof StillReading) again = true;
    else if (current === view) failed(problem);
  }
  took = performance.now() - began;
  asked = performance.now();
  asking = false;
  tick();
  if (again) {
    again = false;
    refresh();
  }
}

/** What is another one once there is more to ask for: calls, imported ones, or revenue. */
function markOf(said) {
  return said && `${said.head} ${said.beside}`;
}

function heard(document) {
  last = document;
  skew = document.now_ms - Date.now();
  tellDaemon(document);
  tellCounting(document.counting);
  view?.now?.(document);
  tick();
  if (markOf(document) !== shownMark && due === null && !window.document.hidden) {
    const pause = Math.max(REFRESH_MS, REFRESH_SHARE * took) - (performance.now() - asked);
    due = setTimeout(refresh, Math.max(0, pause));
  }
}

function navigation() {
  const list = document.getElementById("views");
  fill(list, VIEWS.map(([id, title]) => el("li", {}, el("a", { href: `#/${id}`, "data-view": id }, title))));
}

/** A name out of an address; one that somebody has cut is taken as it stands. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function open(ctx) {
  const [, first = "overview", ...rest] = location.hash.split("/");
  const found = DETAILS[first];
  const [id, title, make] = found ? [found[0], null, found[1]] : VIEWS.find(([known]) => known === first) ?? VIEWS[0];
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const value = found ? decoded(rest.join("/")) : null;
  document.title = `${title ?? plain(value)} · noburn`;
  main.setAttribute("aria-busy", "true");
  main.dataset.view = first || "overview";
  period.parentElement.hidden = !OF_PERIOD.has(id);
  view = make(main, ctx, value);
  if (last !== null) view.now?.(last);
  if (view.refresh) refresh();
  else main.setAttribute("aria-busy", "false");
  tick();
}

async function begin() {
  navigation();
  period.value = sessionStorage.getItem(PERIOD_KEPT) ?? period.value;
  let about;
  try {
    about = await get("about");
  } catch (problem) {
    failed(problem);
    return;
  }
  document.getElementById("foot").textContent = `noburn ${about.version} · ${about.home} · days and months in ${about.zone}${about.allow_changes ? " · changes are allowed" : " · read-only"}`;
  const ctx = { about, get, period: () => period.value, ask: asker(about.csrf, say) };
  open(ctx);
  addEventListener("hashchange", () => {
    open(ctx);
    main.focus();
    scrollTo(0, 0);
  });
  period.addEventListener("change", () => {
    sessionStorage.setItem(PERIOD_KEPT, period.value);
    refresh();
  });
  setInterval(tick, 1_000);
  setInterval(() => document.hidden || refresh(), STALE_MS);
  // A page that nobody sees hears nothing: a browser has six connections to one server.
  const hear = () => listen({
    now: heard,
    state(state) {
      if (state === "waiting") pill("bad", "not connected", "the dashboard does not answer; the page tries again");
      if (state === "closed") {
        pill("bad", "closed");
        failed(new Refused({ message: "the dashboard was started anew", next: "open the address that it printed" }, 401));
      }
    },
  });
  let source = hear();
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (document.hidden) return;
    source = hear();
    refresh();
  });
}

begin();

// Building the page.  Text becomes text nodes: no string of anybody's is ever read as markup.

import { money, plain } from "./format.js";

/** An element.  props: attributes; `on` holds listeners, `style` what CSS cannot know (a width). */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, heard] of Object.entries(value)) node.addEventListener(event, heard);
    else if (name === "style") for (const [key, set] of Object.entries(value)) node.style.setProperty(key, set);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Somebody's name for something, whatever direction it is written in. */
export function name(text) {
  return el("bdi", {}, plain(text));
}

/** An amount: for the eye, with the exact one for machines and in the tooltip. */
export function dollars(text, props = {}) {
  return el("data", { value: text, title: `$${text}`, ...props }, money(text));
}

/** Put new content into a part of the page; what had the focus keeps it. */
export function fill(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  if (key !== undefined) {
    [...node.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key)?.focus();
  }
}

/** A part of the page that is drawn anew when what it shows has changed. */
export function part(draw) {
  const node = el("div", { class: "part" });
  let before;
  return {
    node,
    show(...data) {
      const said = JSON.stringify(data);
      if (said !== before) {
        before = said;
        fill(node, draw(...data));
      }
    },
  };
}

export function panel(title, { note = null, more = null, level = "h2" } = {}, ...children) {
  return el("section", { class: "panel" }, el("header", {}, el(level, {}, title), note && el("p", {}, note), more), ...children);
}

export function callout(text, ...rest) {
  return el("p", { class: "callout", role: "note" }, text, ...rest);
}

/** Until how long ago or when, kept true by `tick`. */
export function since(ms, { until = false, title = null } = {}) {
  return el("time", { "data-since": until ? null : ms, "data-until": until ? ms : null, title });
}

/**
 * A table.  columns: label, cell(row), and where they apply num, head (a row's name), wide (a bar),
 * full (a line of its own on a phone), sort(row).  order: {index, down}, kept by the caller.
 */
export function table(caption, columns, rows, { foot = null, order = null, sorted = null, classOf = null } = {}) {
  const headers = columns.map((column, index) => {
    const sorts = sorted !== null && column.sort !== undefined;
    const now = order !== null && order.index === index ? (order.down ? "descending" : "ascending") : null;
    const down = now === null ? column.num === true : now !== "descending";
    const label = sorts
      ? el("button", { type: "button", "data-key": `sort-${caption}-${index}`, on: { click: () => sorted({ index, down }) } }, column.label)
      : column.label || el("span", { class: "sr" }, column.said ?? "");
    return el("th", { scope: "col", role: "columnheader", class: kind(column), "aria-sort": now }, label);
  });
  const ordered = order === null ? rows : inOrder(rows, columns[order.index].sort, order.down);
  return el(
    "table", { class: "stack", role: "table" },
    el("caption", { class: "sr" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, headers)),
    el("tbody", { role: "rowgroup" }, ordered.map((row) => line(columns, row, classOf))),
    foot && el("tfoot", { role: "rowgroup" }, line(columns, foot, null)),
  );
}

function kind(column) {
  return [column.num && "n", column.wide && "wide", column.full && "full"].filter(Boolean).join(" ") || null;
}

function line(columns, row, classOf) {
  return el("tr", { role: "row", class: classOf?.(row) }, columns.map((column) => {
    const content = column.cell(row);
    if (column.head) return el("th", { scope: "row", role: "rowheader" }, content);
    return el("td", { role: "cell", class: kind(column), "data-label": column.label || null }, content);
  }));
}

function inOrder(rows, value, down) {
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return [...rows].sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
}

export function share(part) {
  return el("div", { class: "share", "aria-hidden": "true" }, el("span", { style: { width: `${Math.min(100, part * 100)}%` } }));
}

/** How much of a limit is spent and held: parts of it, 0 to 1 and more. */
export function meter(spent, held, said) {
  const used = spent + held;
  const state = used >= 0.995 ? "bad" : used >= 0.8 ? "warn" : "";
  const first = Math.min(1, spent);
  return el(
    "div", { class: `meter ${state}`, role: "img", "aria-label": said },
    el("span", { style: { width: `${first * 100}%` } }),
    el("span", { class: "held", style: { width: `${Math.max(0, Math.min(1 - first, held)) * 100}%` } }),
  );
}

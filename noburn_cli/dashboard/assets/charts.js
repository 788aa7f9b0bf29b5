// Charts, drawn by plotly from the installed package.  Without it the tables say the same.

import { el } from "./dom.js";
import { plain } from "./format.js";

let loading = null;

/** Plotly once it is there; null where the package is not installed. */
export function plotly() {
  const version = document.body.dataset.plotly;
  if (!version) return Promise.resolve(null);
  loading ??= new Promise((done) => {
    allowItsStyles();
    const script = el("script", { src: `/charts/${version}/plotly.min.js` });
    script.addEventListener("load", () => done(window.Plotly ?? null));
    script.addEventListener("error", () => done(null));
    document.head.append(script);
  });
  return loading;
}

// The page's policy allows no styles in line.  What plotly makes of them goes the ways that are
// allowed: a style element with the page's nonce, and the style object of an element.
function allowItsStyles() {
  const { nonce } = document.body.dataset;
  const create = document.createElement.bind(document);
  document.createElement = (tag, options) => {
    const made = create(tag, options);
    if (String(tag).toLowerCase() === "style") made.setAttribute("nonce", nonce);
    return made;
  };
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function setAttribute(key, value) {
    if (key === "style" && this.style) this.style.cssText = value;
    else set.call(this, key, value);
  };
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Plotly reads a few tags in texts: names are somebody else's and are none. */
export function label(text) {
  return plain(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function layout(more) {
  const quiet = color("--quiet");
  const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: quiet };
  const axis = { gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line"), fixedrange: true, automargin: true };
  return {
    font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, bargap: 0.28,
    margin: { l: 4, r: 4, t: 8, b: 4 }, dragmode: false, hovermode: "x unified",
    hoverlabel: { bgcolor: color("--panel"), bordercolor: color("--line"), font: { ...font, color: color("--text") } },
    ...more,
    xaxis: { ...axis, showgrid: false, zeroline: false, ...more.xaxis },
    yaxis: { ...axis, zeroline: true, ...more.yaxis },
  };
}

const shown = new Set();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const one of shown) one.paint();
});

/** Let go of the charts of views that have been left. */
function letGo() {
  for (const one of shown) {
    if (one.node.isConnected) continue;
    shown.delete(one);
    window.Plotly?.purge(one.node);
  }
}

/** A place for a chart; `draw` takes traces (with `palette` for a colour's name) and a layout. */
export function chart(title, { small = false } = {}) {
  const node = el("div", { class: small ? "chart small" : "chart", role: "img", "aria-label": title });
  let last = null;
  letGo();
  const one = { node, paint };
  // Plotly hears of the window's size alone: a card also changes with a scrollbar or the text's size.
  new ResizeObserver(() => {
    const drawnWidth = node._fullLayout?.width;
    if (node.isConnected && node.clientWidth > 0 && drawnWidth && Math.abs(drawnWidth - node.clientWidth) > 1) window.Plotly.Plots.resize(node);
  }).observe(node);
  async function paint() {
    const library = await plotly();
    if (library === null || last === null || !node.isConnected) {
      node.hidden = library === null;
      return;
    }
    const traces = last.traces.map(({ palette, ...trace }) => ({ ...trace, marker: { ...trace.marker, color: palette.map ? palette.map(color) : color(palette) } }));
    await library.react(node, traces, layout(last.layout), { displayModeBar: false, responsive: true });
    node.dataset.drawn = String(last.traces.length);
  }
  return {
    node,
    draw(traces, more) {
      last = { traces, layout: more };
      shown.add(one);
      return paint();
    },
  };
}

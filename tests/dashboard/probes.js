// What tests ask of a page; each says what is wrong, and nothing when all is well.

window.probes = {
  // Every text's contrast with what is behind it, of what is seen: [text, ratio] where below AA,
  // which asks 4.5, or 3 of large text (https://www.w3.org/TR/WCAG22/#contrast-minimum).
  contrast() {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (color, below) => {
      context.fillStyle = `rgb(${below})`; context.fillRect(0, 0, 1, 1);
      context.fillStyle = color; context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (color) => {
      const [r, g, b] = color.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
      const above = [];
      for (let one = node; one; one = one.parentElement) above.push(getComputedStyle(one).backgroundColor);
      return above.reverse().reduce((below, color) => rgb(color, below), [255, 255, 255]);
    };
    const bad = [];
    for (const node of document.querySelectorAll("body *")) {
      const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
      if (!own || node.closest("svg, .sr, .skip, noscript, [hidden]") || !node.checkVisibility()) continue;
      const style = getComputedStyle(node);
      const ground = behind(node);
      const [a, b] = [light(rgb(style.color, ground)), light(ground)].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
      if (ratio < (large ? 3 : 4.5)) bad.push([node.textContent.slice(0, 40), style.color, ground, ratio]);
    }
    return bad;
  },

  // What a screen reader goes by: landmarks, one heading of the first level, headers of tables, names
  // of controls and pictures.  What is wrong, as texts.
  assisted() {
    const wrong = [];
    const one = (selector) => document.querySelectorAll(selector).length === 1 || wrong.push(selector);
    for (const mark of ["header.top", "nav[aria-label]", "main", "footer", "main h1", "[aria-current=page]"]) one(mark);
    if (document.documentElement.lang !== "en") wrong.push("lang");
    for (const table of document.querySelectorAll("table")) {
      if (!table.caption?.textContent) wrong.push("a table without a caption");
      if (![...table.querySelectorAll("thead th")].every((th) => th.scope === "col" && th.textContent)) wrong.push(`heads of ${table.caption.textContent}`);
      if (![...table.querySelectorAll("tbody tr")].every((tr) => tr.querySelector("th[scope=row]"))) wrong.push("a row without a name");
      if (table.getAttribute("role") !== "table") wrong.push("a table that is none once it is stacked");
    }
    for (const node of document.querySelectorAll("button, select, input, a")) {
      if (!(node.textContent.trim() || node.getAttribute("aria-label") || node.labels?.length)) wrong.push(node.outerHTML);
    }
    for (const node of document.querySelectorAll("[role=img], img")) {
      if (!node.getAttribute("aria-label") && node.getAttribute("alt") === null) wrong.push(node.outerHTML);
    }
    return wrong;
  },

  // Nothing reaches beyond the page's width, not even inside something that hides it.
  wide() {
    return [...document.querySelectorAll("body *")]
    .filter((n) => !n.closest("svg, .sr, .skip, thead, .js-plotly-plot") && n.checkVisibility() && n.getBoundingClientRect().right > screen.width + 0.5)
    .map((n) => n.outerHTML.slice(0, 120));
  },
};

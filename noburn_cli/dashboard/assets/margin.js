// What customers pay beside what they cost.

import { el, fill } from "./dom.js";
import { nothing } from "./parts.js";

export function margin(main) {
  fill(
    main, el("div", { class: "title" }, el("h1", {}, "Margin")),
    nothing("No revenue is known", "Costs are in the ledger. What customers pay comes from Stripe, or from a CSV, and is read here.", "noburn import stripe"),
  );
  return {};
}

// What the page may change, each asked about before it is done.

import { change, Refused } from "./api.js";
import { el, fill, name } from "./dom.js";

const ABOUT = {
  stop: (run) => ({ title: "Stop this run?", text: ["No call of ", strong(run.run), " goes any more, its streams are cut, and its processes are ended."], act: "Stop the run", danger: true }),
  pause: (run) => ({ title: "Pause this run?", text: ["The next calls of ", strong(run.run), " wait until it is resumed."], act: "Pause" }),
  resume: (run) => ({ title: "Resume this run?", text: ["The calls of ", strong(run.run), " go on."], act: "Resume" }),
  topup: ({ budget, account }) => ({ title: "Top up this budget?", text: [strong(account.key), ` per ${budget.per} gets more until its window ends.`], act: "Top up", amount: budget.unit }),
};
const HINTS = { dollars: "5 or 0.50", tokens: "2Mtok", requests: "100req" };

function strong(text) {
  return el("strong", {}, name(text));
}

function fields(what, subject, amount) {
  if (what !== "topup") return { run: subject.run, confirm: subject.run };
  const { budget, account } = subject;
  return { scope: account.key, confirm: account.key, budget_scope: budget.scope, per: budget.per, unit: budget.unit, amount };
}

/** Ask, and do it when the answer is yes; `say` tells what came of it. */
export function asker(csrf, say) {
  const dialog = document.getElementById("ask");
  return (what, subject) => {
    const { title, text, act, danger = false, amount = null } = ABOUT[what](subject);
    const error = el("p", { class: "error", role: "alert" });
    const input = amount && el("input", { type: "text", id: "ask-amount", inputmode: "decimal", placeholder: HINTS[amount], required: true, autocomplete: "off" });
    const yes = el("button", { type: "submit", class: danger ? "primary danger" : "primary", id: "ask-yes" }, act);
    const form = el(
      "form", { method: "dialog" }, el("h2", { id: "ask-title" }, title), el("p", {}, text),
      input && el("label", {}, "How much more", input), error,
      el("div", { class: "acts" }, el("button", { type: "button", id: "ask-no", on: { click: () => dialog.close() } }, "Cancel"), yes),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      yes.disabled = true;
      try {
        const { message } = await change(what, fields(what, subject, input?.value.trim()), csrf);
        dialog.close();
        say(message);
      } catch (problem) {
        error.textContent = problem instanceof Refused ? [problem.message, problem.why, problem.next].filter(Boolean).join(". ") : String(problem);
        yes.disabled = false;
      }
    });
    fill(dialog, form);
    dialog.showModal();
    (input ?? form.querySelector("#ask-no")).focus();
  };
}

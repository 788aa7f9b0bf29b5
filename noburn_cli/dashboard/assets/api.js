// What the page asks the dashboard's server, and how it hears what holds now.

export class Refused extends Error {
  constructor(data, status) {
    super(data?.message ?? "the dashboard does not answer");
    this.why = data?.why ?? "";
    this.next = data?.next ?? "";
    this.status = status;
  }
}

/** The ledger is being read for the first time: the same question is to be asked again. */
export class StillReading extends Error {}

async function read(answer) {
  let document = null;
  try {
    document = await answer.json();
  } catch {
    // Not ours; the status says enough.
  }
  if (answer.status === 202) throw new StillReading();
  if (!answer.ok || document === null) throw new Refused(document?.data, answer.status);
  return document.data;
}

export async function get(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query)).toString();
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}${asked && `?${asked}`}`, { credentials: "same-origin" });
  } catch {
    throw new Refused({ message: "the dashboard has been stopped", next: "start `noburn dashboard` again" }, 0);
  }
  return read(answer);
}

export async function change(what, fields, csrf) {
  const answer = await fetch(`/api/v1/changes/${what}`, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-Noburn-CSRF": csrf },
    body: JSON.stringify(fields),
  });
  return read(answer);
}

/** Hear what holds now, each time that it changes; `state` is told open, waiting or closed. */
export function listen({ now, state }) {
  const source = new EventSource("/api/v1/live");
  source.addEventListener("now", (event) => now(JSON.parse(event.data)));
  source.addEventListener("open", () => state("open"));
  source.addEventListener("error", () => state(source.readyState === EventSource.CLOSED ? "closed" : "waiting"));
  return source;
}

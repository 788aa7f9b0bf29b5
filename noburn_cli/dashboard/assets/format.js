// Amounts, counts, spans and names for the eye.  Money comes as exact decimal text and stays exact:
// it is whole nano-dollars here, never a floating number.

const NANO = 1_000_000_000n;
const CENT = 10_000_000n;

export function nano(text) {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?$/.exec(text ?? "0");
  if (!match) throw new Error(`no amount: ${text}`);
  const value = BigInt(match[2]) * NANO + BigInt((match[3] ?? "").padEnd(9, "0"));
  return match[1] ? -value : value;
}

function fixed(size, places) {
  const unit = 10n ** BigInt(9 - places);
  let units = size / unit;
  const rest = size % unit;
  if (rest * 2n > unit || (rest * 2n === unit && units % 2n === 1n)) units += 1n; // half to even
  const scale = 10n ** BigInt(places);
  const part = (units % scale).toString().padStart(places, "0");
  return `${(units / scale).toLocaleString("en-US")}.${part}`;
}

/** $1,234.56; from a cent four places, below it four digits, so that little is not nothing. */
export function money(text) {
  const value = nano(text);
  const size = value < 0n ? -value : value;
  const sign = value < 0n ? "−" : "";
  if (size % CENT === 0n || size >= NANO) return `${sign}$${fixed(size, 2)}`;
  if (size >= CENT) return `${sign}$${fixed(size, 4)}`;
  const places = Math.min(9, 13 - size.toString().length);
  return `${sign}$${fixed(size, places).replace(/0+$/, "")}`;
}

/** To a dollar from ten on, where an estimate is no truer. */
export function whole(text) {
  const value = nano(text);
  return value >= 10n * NANO ? `$${((value + NANO / 2n) / NANO).toLocaleString("en-US")}` : `$${fixed(value, 2)}`;
}

export function count(value) {
  return Number(value).toLocaleString("en-US");
}

/** 950, 12.3k, 4.56M: where the whole number stands in a tooltip. */
export function short(value) {
  const number = Number(value);
  for (const [size, mark] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= size) {
      const shown = number / size;
      return `${shown.toFixed(shown >= 100 ? 0 : shown >= 10 ? 1 : 2)}${mark}`;
    }
  }
  return count(number);
}

export function amount(unit, value) {
  if (unit === "dollars") return money(String(value));
  return `${count(value)} ${Number(value) === 1 ? unit.replace(/s$/, "") : unit}`;
}

export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value === Math.round(value)) return `${value} %`;
  // Nearly all is not all.
  return `${value > 99.9 && value < 100 ? "99.9" : value.toFixed(1)} %`;
}

/** The part that one amount is of another, as a number: for lengths and percentages alone. */
export function ratio(part, whole) {
  const all = nano(whole);
  return all === 0n ? 0 : Number((nano(part) * 1_000_000n) / all) / 1_000_000;
}

export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

export function moment(ms, zone) {
  return new Date(ms).toLocaleString("en-GB", {
    timeZone: zone, day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
  });
}

export function clock(ms, zone) {
  return new Date(ms).toLocaleString("en-GB", {
    timeZone: zone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
}

export function day(text) {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!match) return text;
  const date = new Date(Date.UTC(+match[1], +match[2] - 1, +match[3]));
  return date.toLocaleDateString("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
}

// Control characters and those that turn the direction of what follows: other people's programs
// chose these names, and a name must not rearrange the page.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A name as it can be shown: what cannot be seen is spelt out. */
export function plain(text) {
  return String(text).replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const NONE = "(none)";

/** customer=acme, feature=chat: without what is shown beside it. */
export function whom(attributes) {
  const hidden = new Set(["project", "run", "step"]);
  return Object.entries(attributes).filter(([key]) => !hidden.has(key))
    .map(([key, value]) => `${key.replace(/^tag\./, "")}=${value}`).join(", ");
}

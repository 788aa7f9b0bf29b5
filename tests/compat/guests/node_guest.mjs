// The Node twin of python_guest.py: `node_guest.mjs SDK`, orders in, results out, line by line.
// Every call is asynchronous here: the modes are "async" and "stream".
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { SDKS } from './node_sdks.mjs';

const require = createRequire(import.meta.url);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const write = process.stdout.write.bind(process.stdout);
const say = (value) => write(JSON.stringify(value) + '\n');
console.log = console.error; // SDKs print what they like

function described(error) {
  let status = null;
  let words = String(error?.message ?? error);
  for (let seen = error; seen && status === null; seen = seen.cause ?? seen.lastError) {
    const found = [seen.status, seen.statusCode, seen.response?.status, seen.code];
    status = found.find((value) => typeof value === 'number') ?? null;
    if (seen.response?.data?.error) words += ' ' + seen.response.data.error.message; // axios
  }
  return { type: error?.constructor?.name ?? typeof error, status, message: words.slice(0, 600) };
}

async function carryOut(row, order) {
  process.env.NOBURN_CUSTOMER = order.customer;
  const stop = new AbortController();
  const ask = { cap: order.cap, signal: stop.signal };
  let error = null;
  try {
    if (order.mode === 'async') {
      const call = row.async(ask);
      if (order.cell === 'aborted') {
        await lines.next(); // the word that the request has arrived
        stop.abort();
      }
      await call;
    } else {
      for await (const piece of await row.stream(ask)) {
        if (order.cell === 'aborted' && piece) break;
      }
      if (order.cell === 'aborted') stop.abort();
    }
  } catch (raised) {
    error = described(raised);
  }
  say({ cell: order.cell, customer: order.customer, error });
}

function version(name) {
  if (name === 'fetch') return process.versions.node;
  const folder = require.resolve.paths(name).map((path) => join(path, name, 'package.json'));
  for (const file of folder) {
    try {
      return JSON.parse(readFileSync(file, 'utf8')).version;
    } catch {
      // the next one
    }
  }
  throw new Error(`${name} is not installed`);
}

const sdk = process.argv[2];
const rows = await SDKS[sdk]();
say({
  version: version(sdk),
  run: process.env.NOBURN_RUN,
  rows: Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, Object.keys(row)])),
});
const running = [];
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const order = JSON.parse(line.value);
  const done = carryOut(rows[order.row], order);
  if (order.cell === 'stopped') running.push(done);
  else await done;
}
await Promise.all(running);

// Puts the reroute into this process, once, and says so.
//
// Layer: enforce, injected.  Below: targets, attributes, over_fetch, over_http, over_undici.
// Not here: any decision about money.  A rerouted request is guarded by the gateway of its run.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { isMainThread } = require('node:worker_threads');

const { Attributes } = require('./attributes.cjs');
const { Reroute } = require('./targets.cjs');
const { hookFetch } = require('./over_fetch.cjs');
const { hookHttp } = require('./over_http.cjs');
const { hookUndici } = require('./over_undici.cjs');

// On globalThis: NODE_OPTIONS may name the preload twice.
const INSTALLED = Symbol.for('noburn.installed');

function install(environment) {
  if (globalThis[INSTALLED]) return;
  Object.defineProperty(globalThis, INSTALLED, { value: true });
  const attributes = new Attributes(environment);
  const reroute = new Reroute(environment, attributes);
  const direct = hookUndici(reroute);
  hookFetch(reroute, direct);
  hookHttp(reroute);
  const own = { attribute: (names, run) => attributes.around(names, run) };
  Object.defineProperty(globalThis, 'noburn', { value: Object.freeze(own), configurable: true });
  if (isMainThread && environment.NOBURN_PRESENCE) sayPresent(environment.NOBURN_PRESENCE);
}

// An empty file named by the process id: "this one is hooked".  Without it the process is named as
// unguarded, which is the harmless mistake.
function sayPresent(folder) {
  try {
    fs.closeSync(fs.openSync(path.join(folder, String(process.pid)), 'w', 0o600));
  } catch {
    // The folder has gone with its run, or this Node may not write.
  }
}

module.exports = { install };

// The undici package, when a program brings it: its fetch, request and stream.
//
// Layer: enforce, injected.  Below: targets, over_fetch.
// Not held: what is sent through a Client or Pool made for a provider's origin.  That passes no
// hook; such a program calls with a virtual key, which no provider accepts.
'use strict';

const Module = require('node:module');
const { reroutedFetch } = require('./over_fetch.cjs');

const DISPATCHER = Symbol.for('undici.globalDispatcher.1');
const NAME = /(^|[\\/])undici([\\/]index(\.js)?)?$/;

// Returns direct(dispatcher): what reaches our loopback where `dispatcher`, or the global one if it
// is undefined, is a proxy or belongs to one origin; undefined when the default does.
function hookUndici(reroute) {
  let agent; // made of the package that brought the dispatcher
  let Agent;
  const direct = (dispatcher) => {
    if (isPlain(dispatcher ?? globalThis[DISPATCHER])) return dispatcher;
    if (!agent && Agent) agent = new Agent();
    return agent;
  };
  const load = Module._load;
  const done = new WeakSet();
  Module._load = function _load(name) {
    const loaded = load.apply(this, arguments);
    if (typeof name === 'string' && NAME.test(name) && isUndici(loaded) && !done.has(loaded)) {
      done.add(loaded);
      Agent ??= loaded.Agent;
      hookPackage(loaded, reroute, direct);
    }
    return loaded;
  };
  return direct;
}

function isPlain(dispatcher) {
  return dispatcher === undefined || dispatcher.constructor?.name === 'Agent';
}

function isUndici(loaded) {
  return typeof loaded?.request === 'function' && typeof loaded.setGlobalDispatcher === 'function';
}

function hookPackage(undici, reroute, direct) {
  if (undici.fetch) {
    undici.fetch = reroutedFetch(undici.fetch, reroute, {
      Request: () => undici.Request,
      Headers: () => undici.Headers,
      direct,
    });
  }
  for (const name of ['request', 'stream']) {
    const original = undici[name];
    undici[name] = function (url, options, ...rest) {
      const moved = movedOptions(url, options, reroute);
      if (!moved) return original.apply(this, arguments);
      const dispatcher = direct(options?.dispatcher);
      const sent = { ...options, ...moved.options };
      if (dispatcher) sent.dispatcher = dispatcher;
      else delete sent.dispatcher;
      return original.call(this, moved.url, sent, ...rest);
    };
  }
}

function movedOptions(url, options, reroute) {
  let asked;
  try {
    asked = new URL(options?.path ?? String(url.href ?? url), url.origin ?? url);
  } catch {
    return null;
  }
  for (const [name, value] of Object.entries(options?.query ?? {})) {
    asked.searchParams.append(name, value);
  }
  const headers = pairsOf(options?.headers);
  const moved = reroute.of(String(options?.method ?? 'GET').toUpperCase(), asked, headers);
  if (!moved) return null;
  return {
    url: moved.url,
    options: { headers: joined(headers, moved.headers), query: undefined, path: undefined },
  };
}

// undici takes headers as an object, a flat list, or anything that iterates over pairs.
function pairsOf(headers) {
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    return headers.flatMap((name, i) => (i % 2 ? [] : [[name, headers[i + 1]]]));
  }
  const isIterable = typeof headers?.[Symbol.iterator] === 'function';
  return isIterable ? [...headers] : Object.entries(headers ?? {});
}

function joined(pairs, added) {
  const kept = pairs.filter(([name]) => String(name).toLowerCase() !== 'host');
  return Object.fromEntries([...kept, ...added]);
}

module.exports = { hookUndici };

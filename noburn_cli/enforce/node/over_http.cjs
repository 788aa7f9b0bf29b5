// http.request, https.request and their `get`: axios, node-fetch, got and what else is built on them.
//
// Layer: enforce, injected.  Below: targets.
// The gateway speaks plain HTTP on the loopback, so what belongs to TLS, to a proxy or to one
// network interface is left out of a rerouted request; everything else stays as the program said.
'use strict';

const http = require('node:http');
const https = require('node:https');
const { syncBuiltinESMExports } = require('node:module');
const { urlToHttpOptions } = require('node:url');

const NOT_FOR_LOOPBACK = [
  'createConnection', 'defaultPort', 'family', 'hints', 'host', 'href', 'localAddress', 'localPort',
  'lookup', 'origin', 'servername', '_defaultAgent',
]; // prettier-ignore

function hookHttp(reroute) {
  const send = http.request;
  for (const [module, protocol] of [[http, 'http:'], [https, 'https:']]) {
    const original = module.request;
    module.request = function request() {
      const asked = read(arguments, protocol);
      const moved = asked && reroute.of(asked.method, asked.url, pairsOf(asked.options.headers));
      if (!moved) return original.apply(this, arguments);
      return send.call(http, movedOptions(asked.options, moved), asked.callback);
    };
    module.get = function get() {
      const request = module.request.apply(this, arguments);
      request.end();
      return request;
    };
  }
  syncBuiltinESMExports(); // `import { request } from 'node:https'` is a copy.
}

// The three ways to call: (url, options, callback), (url, callback), (options, callback).
// Null for what cannot be read: the original says what is wrong with it.
function read(args, protocol) {
  try {
    let [input, options, callback] = args;
    if (typeof input !== 'string' && !isUrl(input)) {
      callback = options;
      options = input;
      input = null;
    }
    if (typeof options === 'function') {
      callback = options;
      options = null;
    }
    const base = input === null ? {} : urlToHttpOptions(new URL(input));
    const all = { ...base, ...options };
    if (all.socketPath) return null;
    const method = String(all.method ?? 'GET').toUpperCase();
    return { method, url: addressOf(all, protocol), options: all, callback };
  } catch {
    return null;
  }
}

function isUrl(input) {
  return input instanceof URL || (input?.href && input.searchParams && !input.headers);
}

// As http.ClientRequest reads its options; a path that is a whole URL is a request to a proxy.
function addressOf(options, protocol) {
  const path = String(options.path ?? '/');
  if (/^https?:\/\//i.test(path)) return new URL(path);
  const host = String(options.hostname || options.host || 'localhost');
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const port = options.port || options.defaultPort;
  const url = new URL(`${options.protocol ?? protocol}//${name}${port ? `:${port}` : ''}`);
  // By hand: a path is sent as it is written, `..` and all.
  const [pathname, ...rest] = path.split('?');
  return {
    protocol: url.protocol,
    origin: url.origin,
    hostname: url.hostname,
    href: url.origin + path,
    pathname,
    search: rest.length ? '?' + rest.join('?') : '',
  };
}

function movedOptions(options, moved) {
  const sent = { ...options };
  for (const name of NOT_FOR_LOOPBACK) delete sent[name];
  const target = new URL(moved.url);
  sent.protocol = target.protocol;
  sent.hostname = target.hostname;
  sent.port = target.port;
  sent.path = moved.url.slice(target.origin.length) || '/';
  sent.agent = agentFor(options.agent);
  sent.headers = joined(options.headers, moved.headers, target.host);
  return sent;
}

const agents = new WeakMap();

// Connections are kept as the program keeps them; an agent of another kind (a proxy's) is passed by.
function agentFor(agent) {
  if (agent === false || agent instanceof http.Agent === false) {
    return agent === false ? false : http.globalAgent;
  }
  if (agent.constructor === http.Agent) return agent;
  if (agent.constructor !== https.Agent) return http.globalAgent;
  if (!agents.has(agent)) {
    const { keepAlive, keepAliveMsecs, maxSockets, maxFreeSockets, maxTotalSockets } = agent;
    const { timeout, scheduling } = agent.options;
    const like = { keepAlive, keepAliveMsecs, maxSockets, maxFreeSockets, maxTotalSockets };
    agents.set(agent, new http.Agent({ ...like, scheduling, timeout }));
  }
  return agents.get(agent);
}

// Headers are an object, a flat list, or a list of pairs.
function pairsOf(headers) {
  if (!Array.isArray(headers)) return Object.entries(headers ?? {});
  if (Array.isArray(headers[0])) return headers;
  return headers.flatMap((name, i) => (i % 2 ? [] : [[name, headers[i + 1]]]));
}

// In the form that they came in; to lists Node adds no host of its own.
function joined(headers, added, host) {
  const kept = pairsOf(headers).filter(([name]) => String(name).toLowerCase() !== 'host');
  if (!Array.isArray(headers)) return Object.fromEntries([...kept, ...added]);
  const all = [...kept, ['host', host], ...added];
  return Array.isArray(headers[0]) ? all : all.flat();
}

module.exports = { hookHttp };

// fetch: the one that Node has, and the one of the undici package.
//
// Layer: enforce, injected.  Below: targets.
// Only the address and the headers change; the body (streams too), the abort signal and the answer
// are the original's own.
'use strict';

const { isCall } = require('./targets.cjs');

// Replaces the global fetch before the program can take a copy of it.
function hookFetch(reroute, direct) {
  globalThis.fetch = reroutedFetch(globalThis.fetch, reroute, {
    Request: () => globalThis.Request,
    Headers: () => globalThis.Headers,
    direct,
  });
}

// own: the implementation's classes (functions, because Node loads its own late), and
// direct(dispatcher): what to send through instead, for a proxy cannot reach our loopback.
function reroutedFetch(original, reroute, own) {
  return function fetch(input, init = undefined) {
    const request = isRequest(input, own.Request()) ? input : null;
    const url = addressOf(request ? request.url : input);
    if (!url) return original.apply(this, arguments);
    const method = String(init?.method ?? request?.method ?? 'GET').toUpperCase();
    const send = (moved) => sendMoved.call(this, original, own, { request, init, moved, url });
    let headers;
    try {
      headers = [...new (own.Headers())(init?.headers ?? request?.headers)];
    } catch {
      return original.apply(this, arguments); // rejects, as it always did
    }
    const moved = reroute.of(method, url, headers);
    if (moved) return send(moved);
    if (!reroute.mayBeCall(method, url)) return original.apply(this, arguments);
    return textOf(request, init).then((text) =>
      isCall(text) ? send(reroute.moved(url)) : original.apply(this, arguments),
    );
  };
}

function sendMoved(original, own, { request, init, moved, url }) {
  const dispatcher = own.direct(init?.dispatcher);
  let sent;
  try {
    // Made here, so that a bad argument rejects as it always did.
    if (request) {
      const Request = own.Request();
      sent = [new Request(moved.url, new Request(request, init)), { dispatcher }];
    } else {
      const Headers = own.Headers();
      sent = [moved.url, { ...init, headers: new Headers(init?.headers), dispatcher }];
    }
  } catch (error) {
    return Promise.reject(error);
  }
  const headers = request ? sent[0].headers : sent[1].headers;
  for (const [name, value] of moved.headers) headers.set(name, value);
  if (!dispatcher) delete sent[1].dispatcher;
  return original.apply(this, sent).then((response) => asFrom(response, url));
}

// A body that is at hand, as text; '' for a stream, which only the provider should read.
async function textOf(request, init) {
  const body = init?.body;
  if (typeof body === 'string') return body;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return new TextDecoder().decode(body);
  return body === undefined && request && !request.bodyUsed ? request.clone().text() : '';
}

function isRequest(input, Request) {
  return typeof input === 'object' && input !== null && input instanceof Request;
}

function addressOf(input) {
  try {
    return new URL(String(input));
  } catch {
    return null; // The original says what is wrong with it.
  }
}

// A program that asks where its answer came from hears what it asked for.
function asFrom(response, url) {
  if (!response.redirected) {
    Object.defineProperty(response, 'url', { value: url.href, configurable: true });
  }
  return response;
}

module.exports = { hookFetch, reroutedFetch };

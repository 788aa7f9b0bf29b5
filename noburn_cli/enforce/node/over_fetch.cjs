// fetch: the one that Node has, and the one of the undici package.
//
// Layer: enforce, injected.  Below: targets.
// Only the address and the headers change; the body (streams too), the abort signal and the answer
// are the original's own.
'use strict';

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
    const method = String(init?.method ?? request?.method ?? 'GET').toUpperCase();
    const moved = url && reroute.of(method, url);
    if (!moved) return original.apply(this, arguments);
    const dispatcher = own.direct(init?.dispatcher);
    let sent;
    if (request) {
      const Request = own.Request();
      // Made here, so that a bad argument rejects as it always did.
      try {
        sent = [new Request(moved.url, new Request(request, init)), { dispatcher }];
      } catch (error) {
        return Promise.reject(error);
      }
      for (const [name, value] of moved.headers) sent[0].headers.set(name, value);
    } else {
      const Headers = own.Headers();
      let headers;
      try {
        headers = new Headers(init?.headers);
      } catch (error) {
        return Promise.reject(error);
      }
      for (const [name, value] of moved.headers) headers.set(name, value);
      sent = [moved.url, { ...init, headers, dispatcher }];
    }
    if (!dispatcher) delete sent[1].dispatcher;
    return original.apply(this, sent).then((response) => asFrom(response, url));
  };
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

// Which requests go by the gateway instead, and how they say where they were going.
//
// Layer: enforce, injected.  Below: attributes.
// Facts come from the environment, written by enforce.launch: NOBURN_PROVIDER_HOSTS (made from
// providers.registry), NOBURN_POLICY (configured endpoints), NOBURN_BASE_URLS (what the base-URL
// variables said before the run), NOBURN_GATEWAY.
'use strict';

const UPSTREAM = 'x-noburn-upstream';
const VIRTUAL = /noburn-vk-/;

class Reroute {
  constructor(environment, attributes) {
    this.gateway = new URL(environment.NOBURN_GATEWAY);
    this.attributes = attributes;
    const facts = parsed(environment.NOBURN_PROVIDER_HOSTS);
    this.hosts = (facts.hosts ?? []).map((pattern) => new RegExp(pattern));
    this.calls = facts.calls ? new RegExp(facts.calls) : null;
    this.origins = new Set();
    const endpoints = parsed(environment.NOBURN_POLICY).endpoints ?? [];
    const named = [
      ...Object.values(parsed(environment.NOBURN_BASE_URLS)),
      ...endpoints.map((endpoint) => endpoint.base_url),
    ];
    for (const url of named) {
      if (URL.canParse ? URL.canParse(url) : canParse(url)) {
        this.origins.add(new URL(url).origin);
      }
    }
    this.origins.delete(this.gateway.origin);
  }

  // Where `url` goes instead, as { url, headers: [[name, value]] }; null when it is left alone.
  // headers: what the request carries; one of the run's virtual keys makes it a call, whoever it
  // is for.
  of(method, url, headers = []) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
    if (url.origin === this.gateway.origin) {
      const own = this.attributes.headers();
      return own.length ? { url: url.href, headers: own } : null;
    }
    if (!this.isProvider(url) && !headers.some(([, value]) => VIRTUAL.test(value))) return null;
    return this.moved(url);
  }

  moved(url) {
    return {
      url: this.gateway.origin + url.pathname + url.search,
      headers: [[UPSTREAM, url.origin], ...this.attributes.headers()],
    };
  }

  // Whether the path is a call's, on a host that nobody named.  Its body decides: the gateway
  // refuses an LLM call with the line to add, and would not carry anything else.
  mayBeCall(method, url) {
    if (url.origin === this.gateway.origin) return false; // It is there already.
    return method === 'POST' && this.calls !== null && this.calls.test(url.pathname);
  }

  isProvider(url) {
    const host = url.hostname.replace(/\.$/, '');
    return this.origins.has(url.origin) || this.hosts.some((pattern) => pattern.test(host));
  }
}

// As the registry tells a call from its body: a model, and something to answer.
function isCall(text) {
  const body = parsed(text);
  return Boolean(body.model && (body.messages || body.input || body.prompt || body.contents));
}

function canParse(url) {
  try {
    return Boolean(new URL(url));
  } catch {
    return false;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text || '{}') ?? {};
  } catch {
    return {};
  }
}

module.exports = { Reroute, isCall };

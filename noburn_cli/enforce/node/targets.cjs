// Which requests go by the gateway instead, and how they say where they were going.
//
// Layer: enforce, injected.  Below: attributes.
// Facts come from the environment, written by enforce.launch: NOBURN_PROVIDER_HOSTS (made from
// providers.registry), NOBURN_POLICY (configured endpoints), NOBURN_BASE_URLS (what the base-URL
// variables said before the run), NOBURN_GATEWAY.
'use strict';

const UPSTREAM = 'x-noburn-upstream';

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
  // A path that looks like a call on a host that nobody named goes, too: the gateway reads its body,
  // and refuses an LLM call with the line to add.
  of(method, url) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
    if (url.origin === this.gateway.origin) {
      const headers = this.attributes.headers();
      return headers.length ? { url: url.href, headers } : null;
    }
    if (!this.isProvider(url) && !(method === 'POST' && this.calls?.test(url.pathname))) {
      return null;
    }
    return {
      url: this.gateway.origin + url.pathname + url.search,
      headers: [[UPSTREAM, url.origin], ...this.attributes.headers()],
    };
  }

  isProvider(url) {
    const host = url.hostname.replace(/\.$/, '');
    return this.origins.has(url.origin) || this.hosts.some((pattern) => pattern.test(host));
  }
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

module.exports = { Reroute };

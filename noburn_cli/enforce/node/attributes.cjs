// Who a call is for: `noburn.attribute({ customer: 'acme' }, async () => …)`.
//
// Layer: enforce, injected.  The same names as noburn_cli.attribute() in Python; what is inside the
// function, and whatever it awaits or starts, carries them.
'use strict';

const NAMED = ['project', 'customer', 'feature', 'user', 'job', 'step'];
const HEADER = 'x-noburn-attributes';

class Attributes {
  constructor(environment) {
    this.environment = environment;
    this.storage = null; // AsyncLocalStorage costs every promise a little, so only when used.
  }

  // Calls `run` with the attributes; the innermost value of a name counts.  Returns what it returns.
  // names: project, customer, feature, user, job, step, each a text; tags: an object of texts.
  around(names, run) {
    const added = checked(names);
    if (!this.storage) {
      this.storage = new (require('node:async_hooks').AsyncLocalStorage)();
    }
    return this.storage.run({ ...this.storage.getStore(), ...added }, run);
  }

  // The header that tells the gateway, as [[name, value]]; [] when there is nothing to tell.
  headers() {
    const found = { ...fromEnvironment(this.environment), ...this.storage?.getStore() };
    if (Object.keys(found).length === 0) return [];
    // A header is bytes: everything beyond ASCII is escaped, as JSON allows.
    const escape = (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0');
    return [[HEADER, JSON.stringify(found).replace(/[\u007f-\uffff]/g, escape)]];
  }
}

// The gateway knows the environment of the run; a program may have been started with its own.
function fromEnvironment(environment) {
  const found = {};
  for (const name of NAMED) {
    const value = environment['NOBURN_' + name.toUpperCase()];
    if (value) found[name] = value;
  }
  try {
    const tags = JSON.parse(environment.NOBURN_TAGS || '{}');
    for (const [tag, value] of Object.entries(tags)) found['tag.' + tag] = String(value);
  } catch {
    // Not ours to complain about: `noburn run` writes it, and a program that changed it meant it.
  }
  return found;
}

function checked(names) {
  const added = {};
  for (const [name, value] of Object.entries(names ?? {})) {
    if (name === 'tags') {
      for (const [tag, text] of Object.entries(value)) added['tag.' + tag] = String(text);
    } else if (!NAMED.includes(name)) {
      // A misspelt name must not become a silent tag.
      throw new TypeError(`noburn: ${name} is no attribute; one of ${NAMED.join(', ')}, tags`);
    } else if (value !== undefined && value !== null) {
      added[name] = String(value);
    }
  }
  return added;
}

module.exports = { Attributes };

// The first of ours that a Node process below `noburn run` executes, from NODE_OPTIONS.
//
// Layer: enforce, injected (Node's own modules alone).  Next: install.cjs, which needs Node 18.
// Written for any Node there ever was: an older one, Bun and Deno go on untouched.  They leave no
// presence file, so that the run's summary names them, and they hold no key that a provider accepts.
'use strict';

var major = parseInt(process.versions.node, 10);
if (process.env.NOBURN_GATEWAY && major >= 18 && !process.versions.bun && !process.versions.deno) {
  require('./install.cjs').install(process.env);
}

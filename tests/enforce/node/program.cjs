// The same stacks by require.
const { request } = require('node:https');
const axios = require('axios');
const { request: undiciRequest, fetch: undiciFetch } = require('undici');

const URL_OF = 'https://api.anthropic.com/v1/messages';
const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
const say = (name, value) => process.stdout.write(JSON.stringify([name, value]) + '\n');

async function main() {
  say('fetch', (await fetch(URL_OF, options)).status);
  say('axios', (await axios.post(URL_OF, {})).status);
  say('undici_fetch', (await undiciFetch(URL_OF, options)).status);
  say('undici_request', (await undiciRequest(URL_OF, options)).statusCode);
  await new Promise((resolve) => {
    const req = request(URL_OF, { method: 'POST' }, (res) => {
      say('https', res.statusCode);
      res.resume().on('end', resolve);
    });
    req.end('{}');
  });
}
main();

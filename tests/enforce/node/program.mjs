// What a program does with its HTTP stacks, each case once; one JSON line per case.
// argv: esm|cjs-like is decided by the file that imports this; here everything is ESM.
import { createRequire } from 'node:module';
import http, { get, request as namedRequest } from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { fork, spawn } from 'node:child_process';
import { Worker, isMainThread } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import axios from 'axios';
import nodeFetch from 'node-fetch';
import * as undici from 'undici';
import { request as undiciRequest } from 'undici';

const self = fileURLToPath(import.meta.url);
const require = createRequire(import.meta.url);
const OPENAI = 'https://api.openai.com/v1/chat/completions';
const BODY = JSON.stringify({ model: 'gpt-6-luna', messages: [] });
const JSON_TYPE = { 'content-type': 'application/json' };
const captured = globalThis.fetch;

const say = (name, value) => process.stdout.write(JSON.stringify([name, value]) + '\n');
const text = (res) =>
  new Promise((resolve, reject) => {
    let all = '';
    res.on('data', (piece) => (all += piece)).on('end', () => resolve(all)).on('error', reject);
  });
const viaHttp = (make) =>
  new Promise((resolve, reject) => {
    const req = make((res) => text(res).then((body) => resolve([res.statusCode, body])));
    req.on('error', reject);
    if (!req.writableEnded) req.end(BODY);
  });
const post = (extra = {}) => ({ method: 'POST', headers: { ...JSON_TYPE, ...extra }, body: BODY });

const CASES = {
  async fetch() {
    const answer = await fetch(OPENAI, post({ 'x-case': 'fetch' }));
    return [answer.status, answer.url, (await answer.json()).path];
  },
  captured: async () => (await captured(new URL(OPENAI), post())).status,
  async request_object() {
    const asked = new Request(OPENAI, post({ 'x-case': 'object' }));
    const answer = await fetch(asked);
    return [answer.status, asked.bodyUsed];
  },
  async body_stream() {
    const body = Readable.toWeb(Readable.from([Buffer.from('{"model":'), Buffer.from('"m"}')]));
    return (await fetch(OPENAI, { ...post(), body, duplex: 'half' })).status;
  },
  async headers_instance() {
    const headers = new Headers({ 'x-case': 'instance' });
    return (await fetch(OPENAI, { method: 'POST', headers, body: BODY })).status;
  },
  async query() {
    return (await (await fetch('https://api.openai.com/v1/models?limit=2&a=%2F')).json()).path;
  },
  async stream() {
    const answer = await fetch(OPENAI + '?stream=wait', post());
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const first = (await reader.read()).value;
    const other = await fetch('https://api.openai.com/v1/go'); // only now comes the rest
    return [first, other.status, (await reader.read()).value];
  },
  async abort() {
    const stop = new AbortController();
    const answer = await fetch(OPENAI + '?stream=forever', { ...post(), signal: stop.signal });
    const reader = answer.body.getReader();
    await reader.read();
    stop.abort();
    return reader.read().then(() => 'went on', (error) => error.name);
  },
  async aborted_before() {
    return fetch(OPENAI, { ...post(), signal: AbortSignal.abort() }).catch((e) => e.name);
  },
  bad_header: () => fetch(OPENAI, { headers: { 'bad name': 'x' } }).catch((e) => e.name),
  bad_request: () => fetch(OPENAI, { method: 'GET', body: 'x' }).catch((e) => e.name),
  https_options: () =>
    viaHttp((done) =>
      https.request(
        { host: 'api.openai.com', path: '/v1/chat/completions', method: 'POST', rejectUnauthorized: true,
          headers: JSON_TYPE, agent: new https.Agent({ keepAlive: true, maxSockets: 3 }) },
        done)), // prettier-ignore
  https_url: () => viaHttp((done) => https.request(new URL(OPENAI), { method: 'POST', agent: false }, done)),
  https_text: () =>
    viaHttp((done) => https.request(OPENAI, { method: 'POST', headers: ['x-case', 'flat'] }, done)),
  https_get: () => viaHttp((done) => https.get('https://api.openai.com/v1/models?x=1', done)),
  to_a_proxy: () =>
    viaHttp((done) =>
      namedRequest({ host: '127.0.0.1', port: 9, path: OPENAI, method: 'POST',
                     headers: { Host: 'api.openai.com' } }, done)), // prettier-ignore
  async axios() {
    const answer = await axios.post(OPENAI, JSON.parse(BODY), { headers: { 'x-case': 'axios' } });
    return [answer.status, answer.data.path];
  },
  async axios_stream() {
    const answer = await axios.post(OPENAI + '?stream=1', BODY, { responseType: 'stream' });
    return (await text(answer.data)).includes('[DONE]');
  },
  axios_402: () => axios.post(OPENAI + '?status=402', BODY).catch((error) => error.response.status),
  node_fetch: async () => (await nodeFetch(OPENAI, post())).status,
  undici_fetch: async () => (await undici.fetch(OPENAI, post())).status,
  async undici_request() {
    const answer = await undiciRequest(OPENAI, post());
    return [answer.statusCode, (await answer.body.json()).path];
  },
  async behind_a_proxy() {
    const dispatcher = new undici.ProxyAgent('http://127.0.0.1:9');
    const own = await fetch(OPENAI, { ...post(), dispatcher });
    const before = undici.getGlobalDispatcher();
    undici.setGlobalDispatcher(dispatcher);
    const all = await fetch(OPENAI, post());
    undici.setGlobalDispatcher(before);
    return [own.status, all.status];
  },
  async named_origin() {
    return (await fetch(process.env.TEST_ORIGIN + '/v1/chat/completions', post())).status;
  },
  async unlisted() {
    const url = process.env.TEST_OTHER + '/v1/chat/completions';
    const body = JSON.stringify({ model: 'm', messages: [1] });
    const key = { ...post(), headers: { authorization: 'Bearer sk-noburn-vk-1' } };
    return [
      (await fetch(url, { ...post(), body })).status,
      (await fetch(new Request(url, { ...post(), body }))).status,
      (await fetch(url + '?key', key)).status,
      (await axios.post(url + '?axios', {}, { headers: key.headers })).status,
    ];
  },
  async no_call() {
    const url = process.env.TEST_OTHER + '/v1/chat/messages';
    const own = { authorization: 'Bearer mine' };
    return [
      (await fetch(url, { method: 'POST', body: '{"messages": ["hello"]}', headers: own })).status,
      (await fetch(new Request(url, { method: 'POST', body: 'hello' }))).status,
      (await axios.post(url, { text: 'hello' })).status,
    ];
  },
  async left_alone() {
    const one = await (await fetch(process.env.TEST_OTHER + '/hello')).json();
    const two = await viaHttp((done) => get(process.env.TEST_OTHER + '/hello?x', done));
    return [one.path, two[0]];
  },
  async attributes() {
    const seen = await noburn.attribute({ customer: 'Bär', tags: { team: 'a' } }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return noburn.attribute({ feature: 'f' }, () => fetch(OPENAI, post()));
    });
    let wrong;
    try {
      noburn.attribute({ custommer: 'x' }, () => 0);
    } catch (error) {
      wrong = error.message;
    }
    return [seen.status, wrong];
  },
  worker: () => child(new Worker(self, { argv: ['fetch', 'axios'], stdout: true }), 'stdout'),
  fork: () => child(fork(self, ['fetch', 'https_text'], { silent: true })),
  spawn: () => child(spawn(process.execPath, [self, 'fetch'])),
  commonjs: () => child(spawn(process.execPath, [require.resolve('./program.cjs')])),
};

function child(started) {
  const ended = new Promise((resolve, reject) => started.on('exit', resolve).on('error', reject));
  return Promise.all([text(started.stdout), ended]).then(([all, code]) => {
    if (code) throw new Error('ended with ' + code);
    return all.trim().split('\n').map((line) => JSON.parse(line));
  });
}

const wanted = process.argv.slice(2);
for (const name of wanted.length ? wanted : Object.keys(CASES)) {
  say(name, await CASES[name]().catch((error) => `${error.name}: ${error.message} ${error.cause ?? ''}`));
}
if (!isMainThread) process.stdout.end?.();

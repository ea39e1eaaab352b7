// Run by `cargo xtask test`: GATEWAY_URL is where the gateway listens, JWT_SECRET its secret, MESSAGES a
// directory of cloudsync messages.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { createClient } from '@supabase/supabase-js';

import { octetFetch } from './octets.js';

const { GATEWAY_URL, JWT_SECRET, MESSAGES } = process.env;
const PUBLISHABLE = 'sb_publishable_of_the_test';

function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', JWT_SECRET).update(signed).digest('base64url')}`;
}

const anna = token({
  role: 'authenticated',
  sub: '00000000-0000-4000-8000-00000000000a',
  exp: Math.floor(Date.now() / 1000) + 600,
});

// Live messages are not used here, and older versions of Node have no WebSocket for them.
class NoWebSocket {}

function client(key, accessToken) {
  const options = {
    global: { fetch: octetFetch },
    auth: { persistSession: false },
    realtime: { transport: NoWebSocket },
  };
  return createClient(GATEWAY_URL, key, accessToken ? { ...options, accessToken: async () => accessToken } : options);
}

async function message(name) {
  return { octets: (await readFile(join(MESSAGES, name))).toString('base64') };
}

const MAGIC = Buffer.from('csyn').toString('base64').slice(0, 4);

for (const [name, file] of [['cloudsync_pull', 'pull_request.bin'], ['cloudsync_push', 'push_request.bin']]) {
  test(`${name} by a signed-in user`, async () => {
    const { data, error, status } = await client(PUBLISHABLE, anna).rpc(name, await message(file));
    assert.equal(error, null);
    assert.equal(status, 200);
    assert.equal(data.slice(0, 4), MAGIC);
  });
}

test('the publishable key alone is the anonymous role', async () => {
  const { data, error } = await client(PUBLISHABLE).rpc('whoami');
  assert.equal(error, null);
  assert.equal(data, 'anon');
});

test('the token decides who calls', async () => {
  const { data } = await client(PUBLISHABLE, anna).rpc('whoami');
  assert.equal(data, 'authenticated');
});

test('arguments by name, by POST and by GET', async () => {
  const user = client(PUBLISHABLE, anna);
  assert.equal((await user.rpc('add', { a: 1, b: 2 })).data, 3);
  assert.equal((await user.rpc('add', { a: 1, b: 2 }, { get: true })).data, 3);
});

test('an error has its four fields', async () => {
  const { error, status } = await client(PUBLISHABLE, anna).rpc('cloudsync_pull', { octets: 'anVuaw==' });
  assert.equal(status, 400);
  assert.equal(error.code, '22P03');
  assert.match(error.message, /not a cloudsync message/);
  assert.ok('details' in error && 'hint' in error);
});

test('an unknown function, an unknown schema, an unknown key, a wrong token', async () => {
  const user = client(PUBLISHABLE, anna);
  assert.equal((await user.rpc('unknown')).error.code, 'PGRST202');
  assert.equal((await user.schema('hidden').rpc('whoami')).error.code, 'PGRST106');
  assert.equal((await client('sb_publishable_unknown').rpc('whoami')).status, 401);
  const wrong = await client(PUBLISHABLE, `${anna.slice(0, -4)}AAAA`).rpc('whoami');
  assert.deepEqual([wrong.status, wrong.error.code], [401, 'PGRST301']);
});

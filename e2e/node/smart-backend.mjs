// A backend service (SMART App Launch 2.2, backend services) against a running Ward.
//   smart-backend.mjs keys DIR   makes an ES384 and an RS384 key: DIR/ES384.json and DIR/RS384.json hold the private keys, DIR/jwks.json the set
//   smart-backend.mjs run DIR    BASE and CLIENT come from the environment: gets tokens with both and reads with both clients
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import * as kit from 'fhir-kit-client';

const Kit = kit.Client ?? kit.default;
const Client = createRequire(import.meta.url)('fhirclient/lib/Client.js').default;
const [mode, dir] = process.argv.slice(2);

if (mode === 'keys') {
  const keys = [];
  for (const [alg, type, options] of [['ES384', 'ec', { namedCurve: 'P-384' }], ['RS384', 'rsa', { modulusLength: 2048 }]]) {
    const { publicKey, privateKey } = generateKeyPairSync(type, options);
    writeFileSync(join(dir, `${alg}.json`), JSON.stringify(privateKey.export({ format: 'jwk' })));
    keys.push({ ...publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig' });
  }
  writeFileSync(join(dir, 'jwks.json'), JSON.stringify({ keys }));
  process.exit(0);
}

const { BASE: baseUrl, CLIENT: clientId } = process.env;
const base64url = (v) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url');

const { tokenUrl } = await new Kit({ baseUrl }).smartAuthMetadata();

async function token(alg, scope) {
  const now = Math.floor(Date.now() / 1000);
  const key = createPrivateKey({ key: JSON.parse(readFileSync(join(dir, `${alg}.json`))), format: 'jwk' });
  const text = `${base64url({ alg, kid: alg, typ: 'JWT' })}.${base64url({
    iss: clientId, sub: clientId, aud: String(tokenUrl), exp: now + 240, iat: now, jti: randomUUID(),
  })}`;
  const assertion = `${text}.${sign('sha384', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  const body = new URLSearchParams({
    grant_type: 'client_credentials', scope, client_assertion: assertion,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });
  const first = await fetch(tokenUrl, { method: 'POST', body });
  const answer = await first.json();
  assert.equal(first.status, 200, JSON.stringify(answer));
  const again = await fetch(tokenUrl, { method: 'POST', body });
  assert.equal(again.status, 401, 'an assertion was good twice');
  assert.equal((await again.json()).error, 'invalid_client');
  return answer;
}

for (const alg of ['ES384', 'RS384']) {
  const answer = await token(alg, 'system/Patient.rs system/Observation.cruds');
  assert.equal(answer.scope, 'system/Patient.rs system/Observation.cruds');
  assert.equal(answer.expires_in, 300);

  const one = new Kit({ baseUrl, bearerToken: answer.access_token });
  const patient = await one.read({ resourceType: 'Patient', id: 'smart-1' });
  assert.equal(patient.name[0].family, 'Lindqvist');

  const other = new Client({}, { serverUrl: baseUrl, tokenResponse: answer });
  const made = await other.create({
    resourceType: 'Observation', status: 'final', code: { text: alg }, subject: { reference: 'Patient/smart-1' },
  });
  assert.ok(made.id);
  await assert.rejects(other.update({ ...patient, gender: 'female' }), (e) => e.status === 403 || e.status === 404);
  await assert.rejects(one.search({ resourceType: 'Encounter', searchParams: {} }), (e) => e.response.status === 403);
}
// A scope may be narrowed by search parameters: only what matches is there.
const all = new Client({}, { serverUrl: baseUrl, tokenResponse: await token('ES384', 'system/Observation.cruds') });
for (const code of ['laboratory', 'vital-signs']) {
  await all.create({
    resourceType: 'Observation', status: 'final', code: { text: code }, subject: { reference: 'Patient/smart-1' },
    category: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code }] }],
  });
}
const narrow = new Client({}, { serverUrl: baseUrl, tokenResponse: await token('ES384', 'system/Observation.rs?category=laboratory') });
assert.deepEqual((await narrow.request('Observation', { flat: true, pageLimit: 0 })).map((o) => o.code.text), ['laboratory']);
assert.equal((await all.request('Observation', { flat: true, pageLimit: 0 })).length, 4);

// The capability statement says where tokens are had.
const { security } = (await new Kit({ baseUrl }).capabilityStatement()).rest[0];
assert.equal(security.service[0].coding[0].code, 'SMART-on-FHIR');
assert.equal(security.extension[0].extension.find((e) => e.url === 'token').valueUri, String(tokenUrl));
assert.equal(security.cors, true);
console.log('backend services: all held');

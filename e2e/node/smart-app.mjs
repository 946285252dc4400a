// A SMART app with a server, on fhir-kit-client: LISTEN, ISS, CLIENT and SECRET come from the environment. The browser opens /launch.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import * as kit from 'fhir-kit-client';

const Client = kit.Client ?? kit.default;
const { LISTEN, ISS, CLIENT, SECRET } = process.env;
const redirectUri = `http://${LISTEN}/callback`;
const launches = new Map(); // by state
const authorization = `Basic ${Buffer.from(`${encodeURIComponent(CLIENT)}:${encodeURIComponent(SECRET)}`).toString('base64')}`;

async function launch(query) {
  const iss = query.get('iss') ?? ISS;
  const metadata = await new Client({ baseUrl: iss }).smartAuthMetadata();
  const state = randomBytes(16).toString('hex');
  const verifier = randomBytes(32).toString('base64url');
  launches.set(state, { iss, verifier, metadata });
  const to = new URL(metadata.authorizeUrl);
  to.search = new URLSearchParams({
    response_type: 'code', client_id: CLIENT, redirect_uri: redirectUri, state, aud: iss, nonce: state,
    scope: query.has('launch') ? 'openid fhirUser launch patient/*.read online_access' : 'openid fhirUser launch/patient patient/Observation.rs patient/Patient.r offline_access',
    ...(query.has('launch') && { launch: query.get('launch') }),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  return String(to);
}

async function post(url, form) {
  const r = await fetch(url, { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) });
  const text = await r.text();
  assert.equal(r.status, 200, text);
  return text && JSON.parse(text);
}

async function callback(query) {
  assert.equal(query.get('error'), null, query.get('error_description'));
  const { iss, verifier, metadata } = launches.get(query.get('state'));
  assert.equal(query.get('iss'), iss.replace(/fhir$/, 'oauth2')); // RFC 9207
  const first = await post(metadata.tokenUrl, { grant_type: 'authorization_code', code: query.get('code'), redirect_uri: redirectUri, code_verifier: verifier });
  const second = await post(metadata.tokenUrl, { grant_type: 'refresh_token', refresh_token: first.refresh_token });
  assert.notEqual(second.refresh_token, first.refresh_token);

  const client = new Client({ baseUrl: iss, bearerToken: second.access_token });
  const patient = await client.read({ resourceType: 'Patient', id: second.patient });
  const found = await client.search({ resourceType: 'Observation', searchParams: { patient: second.patient } });
  const others = await client.search({ resourceType: 'Observation', searchParams: {} });
  await assert.rejects(client.read({ resourceType: 'Patient', id: 'smart-2' }), (e) => [403, 404].includes(e.response.status));

  const known = await post(metadata.tokenUrl.toString().replace(/token$/, 'introspect'), { token: second.access_token });
  await post(metadata.tokenUrl.toString().replace(/token$/, 'revoke'), { token: second.refresh_token });
  await assert.rejects(client.read({ resourceType: 'Patient', id: second.patient }), (e) => e.response.status === 401);
  const claims = JSON.parse(Buffer.from(first.id_token.split('.')[1], 'base64url'));
  return {
    patient: patient.name[0].family, observations: found.entry?.length ?? 0, visible: others.entry?.length ?? 0, scope: first.scope, encounter: first.encounter ?? null,
    active: known.active, fhirUser: claims.fhirUser.slice(iss.length + 1), nonce: claims.nonce === query.get('state'), amr: claims.amr,
  };
}

createServer(async (req, res) => {
  const { pathname, searchParams } = new URL(req.url, `http://${LISTEN}`);
  try {
    if (pathname === '/launch') {
      const location = await launch(searchParams);
      res.writeHead(302, { location }).end();
    } else if (pathname === '/callback') {
      const out = JSON.stringify(await callback(searchParams));
      res.writeHead(200, { 'content-type': 'text/html' }).end(`<pre id="out">${out}</pre>`);
    } else {
      res.writeHead(pathname === '/ready' ? 204 : 404).end();
    }
  } catch (e) {
    res.writeHead(200, { 'content-type': 'text/html' }).end(`<pre id="out">${JSON.stringify({ failed: String(e.stack) })}</pre>`);
  }
}).listen(Number(LISTEN.split(':')[1]), LISTEN.split(':')[0]);

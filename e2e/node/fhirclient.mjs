// fhirclient (the SMART on FHIR client) against a running Ward: BASE and TOKEN come from the environment.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const Client = require('fhirclient/lib/Client.js').default;

const { BASE: serverUrl, TOKEN: token } = process.env;
const client = new Client({}, { serverUrl, tokenResponse: { access_token: token, token_type: 'Bearer' } });

assert.equal(await client.getFhirVersion(), '4.0.1');
assert.equal(await client.getFhirRelease(), 4);

const patient = await client.create({
  resourceType: 'Patient', name: [{ family: 'Lindqvist', given: ['Maja'] }], birthDate: '1990-12-31',
});
assert.ok(patient.id);
for (const day of [11, 12, 13]) {
  await client.create({
    resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'http://loinc.org', code: '8480-6' }] },
    subject: { reference: `Patient/${patient.id}` }, effectiveDateTime: `2024-06-${day}`,
    valueQuantity: { value: 120 + day, unit: 'mm[Hg]', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' },
  });
}

// Follows the pages and resolves references, as SMART apps do.
const results = await client.request(`Observation?patient=${patient.id}&_count=1&_sort=date`, {
  pageLimit: 0, flat: true, resolveReferences: ['subject'],
});
assert.deepEqual(results.map((r) => r.effectiveDateTime), ['2024-06-11', '2024-06-12', '2024-06-13']);
assert.deepEqual(results.map((r) => r.subject.name[0].family), ['Lindqvist', 'Lindqvist', 'Lindqvist']);

const updated = await client.update({ ...patient, gender: 'female' });
assert.equal(updated.gender, 'female');
const patched = await client.patch(`Patient/${patient.id}`, [{ op: 'replace', path: '/gender', value: 'unknown' }]);
assert.equal(patched.gender, 'unknown');

const included = await client.request(`Observation?patient=${patient.id}&_include=Observation:subject`);
assert.deepEqual(included.entry.map((e) => e.search.mode).sort(), ['include', 'match', 'match', 'match']);

await client.delete(`Patient/${patient.id}`);
await assert.rejects(client.request(`Patient/${patient.id}`), (e) => e.status === 410);
console.log('fhirclient: all held');

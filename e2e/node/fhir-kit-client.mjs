// fhir-kit-client against a running Ward: BASE and TOKEN come from the environment. Exits 0 when all holds.
import assert from 'node:assert/strict';
import * as kit from 'fhir-kit-client';

const Client = kit.Client ?? kit.default;
const { BASE: baseUrl, TOKEN: token } = process.env;
const client = new Client({ baseUrl, bearerToken: token, customHeaders: { Accept: 'application/fhir+json' } });

const capability = await client.capabilityStatement();
assert.equal(capability.resourceType, 'CapabilityStatement');
assert.equal(capability.fhirVersion, '4.0.1');
assert.ok(capability.rest[0].resource.some((r) => r.type === 'Patient'));

const marker = `kit-${process.pid}-${Date.now()}`;
const patient = await client.create({
  resourceType: 'Patient',
  body: { resourceType: 'Patient', identifier: [{ system: 'urn:e2e', value: marker }], name: [{ family: 'Quispe', given: ['Rosa'] }], birthDate: '1984-02-29' },
});
assert.ok(patient.id);
assert.equal(patient.meta.versionId, '1');

const read = await client.read({ resourceType: 'Patient', id: patient.id });
assert.deepEqual(read, patient);

const updated = await client.update({ resourceType: 'Patient', id: patient.id, body: { ...read, gender: 'female' } });
assert.equal(updated.meta.versionId, '2');

const first = await client.vread({ resourceType: 'Patient', id: patient.id, version: '1' });
assert.equal(first.gender, undefined);

const patched = await client.patch({
  resourceType: 'Patient', id: patient.id, jsonPatch: [{ op: 'replace', path: '/gender', value: 'other' }],
});
assert.equal(patched.gender, 'other');

const history = await client.history({ resourceType: 'Patient', id: patient.id });
assert.equal(history.entry.length, 3);

const observation = {
  resourceType: 'Observation', status: 'final', code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: `Patient/${patient.id}` }, valueQuantity: { value: 72, unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
};
const answer = await client.transaction({
  body: {
    resourceType: 'Bundle', type: 'transaction',
    entry: [1, 2, 3].map((day) => ({
      resource: { ...observation, effectiveDateTime: `2024-05-0${day}` }, request: { method: 'POST', url: 'Observation' },
    })),
  },
});
assert.equal(answer.type, 'transaction-response');
assert.deepEqual(answer.entry.map((e) => e.response.status.slice(0, 3)), ['201', '201', '201']);

let page = await client.search({
  resourceType: 'Observation', searchParams: { patient: patient.id, code: 'http://loinc.org|8867-4', _sort: '-date', _count: 2 },
});
assert.deepEqual(page.entry.map((e) => e.resource.effectiveDateTime), ['2024-05-03', '2024-05-02']);
page = await client.nextPage({ bundle: page });
assert.deepEqual(page.entry.map((e) => e.resource.effectiveDateTime), ['2024-05-01']);

const byName = await client.search({ resourceType: 'Patient', searchParams: { identifier: `urn:e2e|${marker}` }, options: { postSearch: true } });
assert.equal(byName.entry.length, 1);

const compartment = await client.compartmentSearch({
  resourceType: 'Observation', compartment: { resourceType: 'Patient', id: patient.id }, searchParams: { _count: 10 },
});
assert.equal(compartment.entry.length, 3);

const everything = await client.operation({ name: 'everything', resourceType: 'Patient', id: patient.id, method: 'GET' });
assert.ok(everything.entry.length >= 4);

await client.delete({ resourceType: 'Patient', id: patient.id });
await assert.rejects(client.read({ resourceType: 'Patient', id: patient.id }), (e) => (e.response?.status ?? e.status) === 410);

const stranger = new Client({ baseUrl, bearerToken: 'wrong' });
await assert.rejects(stranger.search({ resourceType: 'Patient', searchParams: {} }), (e) => (e.response?.status ?? e.status) === 401);
console.log('fhir-kit-client: all held');

package records

import (
	"strings"
	"testing"
)

// The tests of this file follow FHIR R4 (4.0.1) json.html, datatypes.html, resource.html, references.html and
// narrative.html: what a write accepts, and what it gives back.

// writes tries to create each body and demands what becomes of it: 201 or 400.
func writes(t *testing.T, c *client, status int, bodies map[string]string) {
	t.Helper()
	for what, body := range bodies {
		head, _, _ := strings.Cut(strings.TrimPrefix(body, `{"resourceType":"`), `"`)
		r := c.do(t, "POST", "/"+head, body)
		if r.status != status {
			t.Errorf("%s: %d, want %d: %s", what, r.status, status, r.body)
		} else if status >= 400 {
			r.refused(t, status)
		}
	}
}

func TestConformance_JSON_PropertiesAreNeverEmptyOrNull(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		writes(t, c, 400, map[string]string{
			"null":                       patient(`"active":null`),
			"null object":                patient(`"maritalStatus":null`),
			"empty array":                patient(`"name":[]`),
			"empty object":               patient(`"maritalStatus":{}`),
			"empty object in an array":   patient(`"name":[{}]`),
			"empty string":               patient(`"language":""`),
			"null in an array":           patient(`"name":[null]`),
			"null without its extension": patient(`"name":[{"given":[null]}]`),
			"extension without content":  patient(`"_birthDate":{}`),
			"array for one":              patient(`"gender":["male"]`),
			"one for an array":           patient(`"name":{"family":"x"}`),
			"number for a string":        patient(`"language":1`),
			"string for a boolean":       patient(`"active":"true"`),
			"string for a number":        patient(`"multipleBirthInteger":"2"`),
			"object for a string":        patient(`"language":{"value":"en"}`),
			"the same member twice":      patient(`"active":true,"active":true`),
			"two of a choice":            patient(`"deceasedBoolean":true,"deceasedDateTime":"2020"`),
			"member in other case":       patient(`"Active":true`),
			"lists of other lengths":     patient(`"name":[{"given":["a"],"_given":[null,{"id":"1"}]}]`),
			"comments":                   patient(`"fhir_comments":["x"]`),
		})
		writes(t, c, 201, map[string]string{
			"extension instead of value": patient(`"_birthDate":{"extension":[{"url":"http://example.org/x","valueCode":"unknown"}]}`),
			"extension beside value":     patient(`"birthDate":"1970","_birthDate":{"id":"314159","extension":[{"url":"http://example.org/x","valueCode":"c"}]}`),
			"arrays with null":           patient(`"name":[{"given":["a",null],"_given":[null,{"extension":[{"url":"http://example.org/x","valueCode":"c"}]}]}]`),
			"white space":                "{\"resourceType\":\"Patient\"\n,\t\"active\" : true \r\n}",
		})
		// resourceType may stand anywhere.
		c.must(t, 201, "POST", "/Patient", `{"active":true,"resourceType":"Patient"}`)
	})
}

func TestConformance_JSON_WhatWasSentComesBack(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		const fields = `"status":"final","code":{"text":"a\tb\"\\ \u00e9 é \ud83d\ude00 \/"},"valueQuantity":{"value":0.010,"unit":"kg"},` +
			`"component":[{"code":{"text":"2"},"valueQuantity":{"value":1.0e-3}},{"code":{"text":"1"},"valueQuantity":{"value":100000000000000000.0001}},{"code":{"text":"0"},"valueQuantity":{"value":-0.0}}]`
		id := c.create(t, `{"resourceType":"Observation",`+fields+`}`)
		body := string(c.must(t, 200, "GET", "/Observation/"+id, "").body)
		if !strings.Contains(body, fields) {
			t.Errorf("%s\nis not in\n%s", fields, body)
		}
		// In a bundle, in the history and by its version, too.
		for _, path := range []string{"/Observation?_id=" + id, "/Observation/" + id + "/_history", "/Observation/" + id + "/_history/1"} {
			if body := string(c.must(t, 200, "GET", path, "").body); !strings.Contains(body, fields) {
				t.Errorf("%s: %s", path, body)
			}
		}
	})
}

func TestConformance_Datatypes_Primitives(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		extension := func(member, value string) string {
			return patient(`"extension":[{"url":"http://example.org/x","` + member + `":` + value + `}]`)
		}
		bad := map[string]string{}
		for member, values := range map[string][]string{
			"valueInteger":      {`1.0`, `1e2`, `2147483648`, `-2147483649`, `01`, `"1"`},
			"valueUnsignedInt":  {`-1`},
			"valuePositiveInt":  {`0`, `-1`},
			"valueDecimal":      {`01.0`, `.5`, `1.`, `"1.0"`, `+1`, `NaN`},
			"valueDate":         {`"2020-13"`, `"2020-02-30"`, `"20200101"`, `"2020-1-1"`, `"2020-01-01T00:00:00Z"`},
			"valueDateTime":     {`"2020-01-01T10:00:00"`, `"2020-01-01T10:00Z"`, `"2020-01-01T24:00:00Z"`, `"2020-01-01T10:60:00Z"`, `"2020-01-01T10:00:00+15:00"`, `"2020-01-01 10:00:00Z"`},
			"valueInstant":      {`"2020-01-01"`, `"2020-01-01T10:00:00"`, `"2020-01-01T10:00Z"`},
			"valueTime":         {`"24:00:00"`, `"10:00"`, `"10:00:00Z"`},
			"valueCode":         {`" a"`, `"a "`, `"a  b"`},
			"valueId":           {`"a_b"`, `"` + strings.Repeat("a", 65) + `"`, `"a b"`},
			"valueOid":          {`"1.2.3"`, `"urn:oid:3.1"`, `"urn:oid:01.2"`},
			"valueUuid":         {`"c757873d-ec9a-4326-a141-556f43239520"`, `"urn:uuid:C757873D-EC9A-4326-A141-556F43239520"`, `"urn:uuid:1"`},
			"valueUri":          {`" "`, `"a b"`},
			"valueBase64Binary": {`"!"`, `"YQ="`},
			"valueBoolean":      {`"true"`, `1`},
			"valueString":       {`""`, `1`},
		} {
			for _, v := range values {
				bad[member+" "+v] = extension(member, v)
			}
		}
		writes(t, c, 400, bad)
		good := map[string]string{}
		for member, values := range map[string][]string{
			"valueInteger":      {`0`, `-2147483648`, `2147483647`},
			"valueDecimal":      {`0`, `1.50`, `-0.0`, `1e-10`, `123456789012345678901234567890.5`},
			"valueDate":         {`"2020"`, `"2020-02"`, `"2020-02-29"`},
			"valueDateTime":     {`"2020"`, `"2020-02-29"`, `"2020-01-01T10:00:00Z"`, `"2020-01-01T10:00:00.1234+14:00"`, `"2016-12-31T23:59:60Z"`},
			"valueInstant":      {`"2020-01-01T10:00:00.000-05:00"`},
			"valueTime":         {`"00:00:00"`, `"23:59:59.999"`},
			"valueCode":         {`"a b"`, `"ä"`},
			"valueOid":          {`"urn:oid:1.2.3"`},
			"valueUuid":         {`"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`},
			"valueBase64Binary": {`"YQ=="`},
			"valueString":       {`" x\n\t"`, `"\ud83d\ude00"`},
		} {
			for _, v := range values {
				good[member+" "+v] = extension(member, v)
			}
		}
		writes(t, c, 201, good)
	})
}

func TestConformance_Resource_ContainedAndReferences(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		with := func(contained, fields string) string {
			return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"contained":[` + contained + `]` + fields + `}`
		}
		subject := `,"subject":{"reference":"#p"}`
		writes(t, c, 400, map[string]string{
			"dom-2: nested":           with(`{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Patient","id":"q"}]}`, subject),
			"dom-3: not referred to":  with(`{"resourceType":"Patient","id":"p"}`, ""),
			"dom-4: with a version":   with(`{"resourceType":"Patient","id":"p","meta":{"versionId":"1"}}`, subject),
			"dom-4: with a time":      with(`{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}}`, subject),
			"dom-5: with a label":     with(`{"resourceType":"Patient","id":"p","meta":{"security":[{"code":"R"}]}}`, subject),
			"without an id":           with(`{"resourceType":"Patient"}`, subject),
			"twice the same id":       with(`{"resourceType":"Patient","id":"p"},{"resourceType":"Patient","id":"p"}`, subject),
			"ref-1: not there":        with(`{"resourceType":"Patient","id":"p"}`, `,"subject":{"reference":"#p"},"focus":[{"reference":"#q"}]`),
			"reference to other type": `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Organization/1"}}`,
			"ext-1: value and parts":  patient(`"extension":[{"url":"http://example.org/x","valueCode":"c","extension":[{"url":"y","valueCode":"c"}]}]`),
			"ext-1: neither":          patient(`"extension":[{"url":"http://example.org/x"}]`),
			"extension without url":   patient(`"extension":[{"valueCode":"c"}]`),
			"required code":           patient(`"gender":"MALE"`),
			"missing status":          `{"resourceType":"Observation","code":{"text":"x"}}`,
		})
		writes(t, c, 201, map[string]string{
			"contained":   with(`{"resourceType":"Patient","id":"p","link":[{"type":"refer","other":{"reference":"Patient/1"}}]}`, subject),
			"logical":     `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"type":"Patient","identifier":{"system":"urn:x","value":"1"}}}`,
			"absolute":    `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"http://elsewhere.org/fhir/Patient/1"}}`,
			"versioned":   `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1/_history/2"}}`,
			"urn":         `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"` + urn1 + `"}}`,
			"display":     `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"display":"somebody"}}`,
			"extension":   patient(`"extension":[{"url":"http://example.org/x","extension":[{"url":"y","valueCode":"c"}]}]`),
			"modifier":    patient(`"modifierExtension":[{"url":"http://example.org/x","valueBoolean":true}]`),
			"extensible":  patient(`"maritalStatus":{"coding":[{"system":"urn:mine","code":"?"}]}`),
			"any profile": patient(`"meta":{"profile":["http://example.org/unknown"]}`),
		})
	})
}

func TestConformance_Narrative_IsSafeXHTML(t *testing.T) {
	t.Parallel()
	overHTTP(t, func(t *testing.T, c *client) {
		text := func(div string) string { return patient(`"text":{"status":"generated","div":"` + div + `"}`) }
		const open = `<div xmlns=\"http://www.w3.org/1999/xhtml\">`
		writes(t, c, 400, map[string]string{
			"script":     text(open + `<script>x()</script></div>`),
			"event":      text(open + `<p onclick=\"x()\">y</p></div>`),
			"form":       text(open + `<form><input/></form>x</div>`),
			"iframe":     text(open + `<iframe src=\"http://x\"/>x</div>`),
			"not closed": text(open + `<p>x</div>`),
			"no div":     text(`<p>x</p>`),
			"no status":  patient(`"text":{"div":"` + open + `x</div>"}`),
		})
		writes(t, c, 201, map[string]string{
			"table": text(open + `<table><tr><td style=\"color: red\">x</td></tr></table></div>`),
			"link":  text(open + `<a href=\"http://example.org\">x</a><br/></div>`),
			"image": text(open + `<img src=\"http://example.org/x.png\" alt=\"x\"/></div>`),
		})
	})
}

package records

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"ward/internal/base/fault"
	"ward/internal/format/fhir/search"
)

// The parts of a CapabilityStatement that Ward fills (FHIR R4 capabilitystatement.html), in its order of elements.
type (
	capabilityStatement struct {
		ResourceType   string             `json:"resourceType"`
		Status         string             `json:"status"`
		Date           string             `json:"date"`
		Kind           string             `json:"kind"`
		Software       capabilitySoftware `json:"software"`
		Implementation capabilityInstance `json:"implementation"`
		FHIRVersion    string             `json:"fhirVersion"`
		Format         []string           `json:"format"`
		PatchFormat    []string           `json:"patchFormat"`
		Rest           []capabilityRest   `json:"rest"`
	}
	capabilitySoftware struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	capabilityInstance struct {
		Description string `json:"description"`
		URL         string `json:"url,omitempty"`
	}
	capabilityRest struct {
		Mode          string                `json:"mode"`
		Documentation string                `json:"documentation"`
		Security      capabilitySecurity    `json:"security"`
		Resource      []capabilityResource  `json:"resource"`
		Interaction   []capabilityCode      `json:"interaction"`
		SearchParam   []capabilityParameter `json:"searchParam,omitempty"`
		Operation     []capabilityOperation `json:"operation,omitempty"`
		Compartment   []string              `json:"compartment"`
	}
	capabilitySecurity struct {
		Extension   []capabilityExtension `json:"extension,omitempty"`
		CORS        bool                  `json:"cors"`
		Service     []capabilityConcept   `json:"service,omitempty"`
		Description string                `json:"description"`
	}
	capabilityExtension struct {
		URL       string                `json:"url"`
		ValueURI  string                `json:"valueUri,omitempty"`
		Extension []capabilityExtension `json:"extension,omitempty"`
	}
	capabilityConcept struct {
		Coding []capabilityCoding `json:"coding"`
		Text   string             `json:"text"`
	}
	capabilityCoding struct {
		System string `json:"system"`
		Code   string `json:"code"`
	}
	capabilityResource struct {
		Type              string                `json:"type"`
		Profile           string                `json:"profile"`
		Interaction       []capabilityCode      `json:"interaction"`
		Versioning        string                `json:"versioning"`
		ReadHistory       bool                  `json:"readHistory"`
		UpdateCreate      bool                  `json:"updateCreate"`
		ConditionalCreate bool                  `json:"conditionalCreate"`
		ConditionalRead   string                `json:"conditionalRead"`
		ConditionalUpdate bool                  `json:"conditionalUpdate"`
		ConditionalDelete string                `json:"conditionalDelete"`
		ReferencePolicy   []string              `json:"referencePolicy"`
		SearchInclude     []string              `json:"searchInclude,omitempty"`
		SearchRevInclude  []string              `json:"searchRevInclude,omitempty"`
		SearchParam       []capabilityParameter `json:"searchParam,omitempty"`
		Operation         []capabilityOperation `json:"operation,omitempty"`
	}
	capabilityCode struct {
		Code string `json:"code"`
	}
	capabilityParameter struct {
		Name       string `json:"name"`
		Definition string `json:"definition,omitempty"`
		Type       string `json:"type"`
	}
	capabilityOperation struct {
		Name       string `json:"name"`
		Definition string `json:"definition"`
	}
)

// capabilities answers with what the tenant's endpoint really does: interactions from the table that routes are made of,
// search parameters from the tenant's registry.
func (s *Service) capabilities(ctx context.Context, in *interaction) (answer, error) {
	values, err := url.ParseQuery(in.query)
	if err != nil {
		return answer{}, fault.Invalid("the URL's query is not escaped as it should be")
	}
	switch mode := values.Get("mode"); mode {
	case "", "full", "normative":
	case "terminology":
		return answer{}, fault.NotImplemented("mode=terminology is not offered: there is no terminology service here")
	default:
		return answer{}, fault.Invalid("mode is full, normative or terminology")
	}
	registry, err := s.registry(ctx)
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(s.statement(registry, in.base))
	if err != nil {
		return answer{}, fault.Internal("write the capability statement").With(err)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(body)
	return answer{status: http.StatusOK, body: body, etag: `W/"` + hex.EncodeToString(sum.Sum(nil)) + `"`}, nil
}

func (s *Service) statement(registry *search.Registry, base string) capabilityStatement {
	var system, typed []capabilityCode
	for _, o := range s.interactions() {
		switch o.code {
		case "", "capabilities":
		case "transaction":
			system = append(system, capabilityCode{"transaction"}, capabilityCode{"batch"})
		case "search-system", "history-system":
			system = append(system, capabilityCode{o.code})
		default:
			typed = append(typed, capabilityCode{o.code})
		}
	}
	rest := capabilityRest{
		Mode:          "server",
		Documentation: "All or nothing: a transaction is atomic, a write is durable when it is answered. Resources are kept as they were sent, byte for byte, with id and meta added.",
		Security:      s.securityOf(base),
		Interaction:   system,
		Operation:     operationsAt(func(o operation) bool { return o.system }),
	}
	for _, c := range s.definitions.Compartments() {
		rest.Compartment = append(rest.Compartment, "http://hl7.org/fhir/CompartmentDefinition/"+lowerFirst(c.Name))
	}
	reverse := s.reverseIncludes(registry)
	for _, typ := range s.definitions.ResourceTypes() {
		rest.Resource = append(rest.Resource, s.resourceCapability(registry, typ, typed, reverse[typ]))
	}
	return capabilityStatement{
		ResourceType: "CapabilityStatement", Status: "active", Date: "2026-01-01", Kind: "instance",
		Software:       capabilitySoftware{Name: "Ward", Version: s.version},
		Implementation: capabilityInstance{Description: "Ward: clinical records of one tenant", URL: base},
		FHIRVersion:    "4.0.1", Format: []string{"json", "application/fhir+json"},
		PatchFormat: []string{"application/json-patch+json", "application/fhir+json"},
		Rest:        []capabilityRest{rest},
	}
}

// securityOf says how one gets a token: where the provider is (SMART App Launch 2.2, conformance; FHIR R4 valueset-restful-security-service).
func (s *Service) securityOf(base string) capabilitySecurity {
	out := capabilitySecurity{Description: "Every request but this one carries a bearer token of the tenant."}
	if s.security == nil {
		return out
	}
	uris := capabilityExtension{URL: "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"}
	addresses := s.security(base)
	for _, name := range slices.Sorted(maps.Keys(addresses)) {
		uris.Extension = append(uris.Extension, capabilityExtension{URL: name, ValueURI: addresses[name]})
	}
	out.CORS, out.Extension = true, []capabilityExtension{uris}
	out.Service = []capabilityConcept{{
		Coding: []capabilityCoding{{"http://terminology.hl7.org/CodeSystem/restful-security-service", "SMART-on-FHIR"}},
		Text:   "OAuth2 as SMART App Launch has it: see .well-known/smart-configuration",
	}}
	return out
}

func (s *Service) resourceCapability(registry *search.Registry, typ string, interactions []capabilityCode, reverse []string) capabilityResource {
	r := capabilityResource{
		Type: typ, Profile: "http://hl7.org/fhir/StructureDefinition/" + typ, Interaction: interactions,
		Versioning: "versioned-update", ReadHistory: true, UpdateCreate: true, ConditionalCreate: true, ConditionalRead: "full-support",
		ConditionalUpdate: true, ConditionalDelete: "single", ReferencePolicy: []string{"literal", "logical", "local"},
		SearchRevInclude: reverse,
		Operation: operationsAt(func(o operation) bool {
			return (o.typeLevel || o.instance) && (o.types == nil || slices.Contains(o.types, typ))
		}),
	}
	for _, o := range s.operations[typ] {
		r.Operation = append(r.Operation, capabilityOperation{Name: o[0], Definition: o[1]})
	}
	if typ == "Binary" {
		r.Interaction = slices.DeleteFunc(slices.Clone(interactions), func(c capabilityCode) bool { return c.Code == "patch" })
	}
	for _, p := range registry.Params(typ) {
		if p.Unsupported != "" {
			continue
		}
		r.SearchParam = append(r.SearchParam, capabilityParameter{Name: p.Code, Definition: p.URL, Type: p.Type.String()})
		if p.Type == search.Reference && len(p.Code) > 0 && p.Code[0] != '_' {
			r.SearchInclude = append(r.SearchInclude, typ+":"+p.Code)
		}
	}
	if len(r.SearchInclude) > 0 {
		r.SearchInclude = append([]string{"*"}, r.SearchInclude...)
	}
	return r
}

// reverseIncludes lists for each type the reference parameters by which others refer to it.
func (s *Service) reverseIncludes(registry *search.Registry) map[string][]string {
	reverse := map[string][]string{}
	for _, typ := range s.definitions.ResourceTypes() {
		for _, p := range registry.Params(typ) {
			if p.Type != search.Reference || p.Unsupported != "" {
				continue
			}
			targets := p.Targets(typ)
			if len(targets) > 20 {
				continue // a reference to anything says nothing about this type
			}
			for _, target := range targets {
				reverse[target] = append(reverse[target], typ+":"+p.Code)
			}
		}
	}
	return reverse
}

func operationsAt(keep func(o operation) bool) []capabilityOperation {
	var list []capabilityOperation
	for _, o := range operations() {
		if keep(o) {
			list = append(list, capabilityOperation{Name: o.code, Definition: o.definition})
		}
	}
	return list
}

func lowerFirst(s string) string {
	if s == "" {
		return ""
	}
	return string(s[0]|0x20) + s[1:]
}

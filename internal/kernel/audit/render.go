package audit

import (
	"encoding/json"
	"strconv"
	"strings"

	"ward/internal/base/fault"
)

// word is how an action is said in FHIR: AuditEvent.action, subtype, and what kind of event it is.
type word struct {
	name    string // in queries and on the command line
	action  string // C R U D E (FHIR R4 valueset-audit-event-action)
	typ     coding
	subtype string // of http://hl7.org/fhir/restful-interaction where rest is the type
	outward bool   // the data goes from the server to the client: the server is its source
	profile string // of IHE BALP 1.1, without and with a patient; empty for none
}

type coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

const (
	eventTypes   = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	dicom        = "http://dicom.nema.org/resources/ontology/DCM"
	interactions = "http://hl7.org/fhir/restful-interaction"
	wardEvents   = "urn:ward:audit-event"
	balp         = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/"
)

// words are the actions in the order of their numbers.
//
//nolint:gochecknoglobals // constant table
var words = func() [Account + 1]word {
	rest := coding{eventTypes, "rest", "Restful Operation"}
	signIn := coding{dicom, "110114", "User Authentication"}
	rights := coding{dicom, "110137", "User Security Attributes Changed"}
	return [...]word{
		Read:       {"read", "R", rest, "read", true, "Read"},
		VRead:      {"vread", "R", rest, "vread", true, "Read"},
		History:    {"history", "R", rest, "history", true, ""},
		Search:     {"search", "E", rest, "search", false, "Query"},
		Create:     {"create", "C", rest, "create", false, "Create"},
		Update:     {"update", "U", rest, "update", false, "Update"},
		Patch:      {"patch", "U", rest, "patch", false, "Update"},
		Delete:     {"delete", "D", rest, "delete", false, "Delete"},
		Operation:  {"operation", "E", rest, "operation", true, ""},
		Export:     {"export", "R", coding{dicom, "110106", "Export"}, "", true, ""},
		Import:     {"import", "C", coding{dicom, "110107", "Import"}, "", false, ""},
		SignIn:     {"sign-in", "E", signIn, "", false, ""},
		SignOut:    {"sign-out", "E", signIn, "", false, ""},
		Token:      {"token", "E", signIn, "", false, ""},
		Grant:      {"grant", "C", rights, "", false, ""},
		Revoke:     {"revoke", "D", rights, "", false, ""},
		BreakGlass: {"break-glass", "E", coding{dicom, "110127", "Emergency Override Started"}, "", false, ""},
		Setting:    {"setting", "U", coding{dicom, "110129", "Security Configuration"}, "", false, ""},
		AuditRead:  {"audit-read", "R", coding{dicom, "110101", "Audit Log Used"}, "", true, ""},
		Security:   {"security", "E", coding{dicom, "110113", "Security Alert"}, "", false, ""},
		Account:    {"account", "U", rights, "", false, ""},
	}
}()

// String is the action's name, such as "read" or "sign-in".
func (a Action) String() string {
	if int(a) < len(words) && words[a].name != "" {
		return words[a].name
	}
	return strconv.Itoa(int(a))
}

// ParseAction reads an action's name.
//
// Errors: Invalid, naming those that there are.
func ParseAction(name string) (Action, error) {
	names := make([]string, 0, len(words))
	for a, w := range words {
		if w.name == "" {
			continue
		}
		if w.name == name {
			return Action(a), nil
		}
		names = append(names, w.name)
	}
	return 0, fault.Invalid("an action is one of %s", strings.Join(names, ", "))
}

// The parts of an AuditEvent (FHIR R4 auditevent.html) that are written.
type (
	auditEvent struct {
		ResourceType   string    `json:"resourceType"`
		ID             string    `json:"id"`
		Meta           *meta     `json:"meta,omitempty"`
		Type           coding    `json:"type"`
		Subtype        []coding  `json:"subtype,omitempty"`
		Action         string    `json:"action"`
		Recorded       string    `json:"recorded"`
		Outcome        string    `json:"outcome"`
		OutcomeDesc    string    `json:"outcomeDesc,omitempty"`
		PurposeOfEvent []concept `json:"purposeOfEvent,omitempty"`
		Agent          []agent   `json:"agent"`
		Source         source    `json:"source"`
		Entity         []entity  `json:"entity,omitempty"`
	}
	meta struct {
		Profile []string `json:"profile"`
	}
	concept struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	reference struct {
		Reference  string      `json:"reference,omitempty"`
		Identifier *identifier `json:"identifier,omitempty"`
		Display    string      `json:"display,omitempty"`
	}
	identifier struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value"`
	}
	agent struct {
		Type      *concept  `json:"type,omitempty"`
		Role      []concept `json:"role,omitempty"`
		Who       reference `json:"who"`
		AltID     string    `json:"altId,omitempty"`
		Requestor bool      `json:"requestor"`
		Network   *network  `json:"network,omitempty"`
	}
	network struct {
		Address string `json:"address"`
		Type    string `json:"type"`
	}
	source struct {
		Site     string    `json:"site,omitempty"`
		Observer reference `json:"observer"`
		Type     []coding  `json:"type,omitempty"`
	}
	entity struct {
		What        *reference     `json:"what,omitempty"`
		Type        *coding        `json:"type,omitempty"`
		Role        *coding        `json:"role,omitempty"`
		Description string         `json:"description,omitempty"`
		Query       []byte         `json:"query,omitempty"` // base64, as JSON has it
		Detail      []entityDetail `json:"detail,omitempty"`
	}
	entityDetail struct {
		Type  string `json:"type"`
		Value string `json:"valueString"`
	}
)

const (
	entityTypes = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	objectRoles = "http://terminology.hl7.org/CodeSystem/object-role"
)

// AppendJSON appends the entry as a FHIR R4 AuditEvent, shaped as IHE BALP 1.1 shapes it where BALP has a profile for it. Values of search
// parameters and addresses are commitments ("~…" and "urn:ward:commitment"); site names who recorded.
func (e *Entry) AppendJSON(dst []byte, site string) ([]byte, error) {
	w := word{name: e.Action.String(), action: "E", typ: coding{wardEvents, "other", ""}}
	if int(e.Action) < len(words) && words[e.Action].name != "" {
		w = words[e.Action]
	}
	out := auditEvent{
		ResourceType: "AuditEvent", ID: e.ID, Type: w.typ, Action: w.action, Recorded: e.Time.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Outcome: strconv.Itoa(int(e.Outcome)), Agent: e.agents(w, site),
		Source: source{Site: site, Observer: reference{Display: site}, Type: []coding{{"http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server"}}},
	}
	switch {
	case w.subtype != "":
		out.Subtype = append(out.Subtype, coding{interactions, w.subtype, w.subtype})
	default:
		out.Subtype = append(out.Subtype, coding{wardEvents, w.name, ""})
	}
	if e.Detail != "" && e.Action != Security {
		out.Subtype = append(out.Subtype, coding{wardEvents, w.name + "." + strings.ReplaceAll(e.Detail, " ", "-"), ""})
	}
	if e.Action == Security {
		out.OutcomeDesc = e.Detail
	}
	if e.Emergency || e.Action == BreakGlass {
		out.PurposeOfEvent = []concept{{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/v3-ActReason", "BTG", "break the glass"}}}}
	}
	out.Entity = e.entities(w)
	if w.profile != "" && e.Outcome == Success {
		name := "IHE.BasicAudit." + w.profile
		if len(e.Patients) > 0 {
			name = "IHE.BasicAudit.Patient" + w.profile
		}
		out.Meta = &meta{[]string{balp + name}}
	}
	b, err := json.Marshal(out)
	if err != nil {
		return dst, fault.Internal("an AuditEvent can't be written").With(err)
	}
	return append(dst, b...), nil
}

// agents are the client, this server and, where somebody is known, who asked.
func (e *Entry) agents(w word, site string) []agent {
	role := func(code, display string) *concept { return &concept{Coding: []coding{{dicom, code, display}}} }
	from, to := role("110153", "Source Role ID"), role("110152", "Destination Role ID")
	client := agent{Type: from, Who: reference{Display: "a client"}, Network: &network{"unknown", "5"}}
	server := agent{Type: to, Who: reference{Display: site}, Network: &network{site, "5"}}
	if w.outward {
		client.Type, server.Type = to, from
	}
	if e.By.Client != "" {
		client.Who = reference{Identifier: &identifier{"urn:ward:client", e.By.Client}}
	}
	if e.Address != "" {
		client.Network.Address = "urn:ward:commitment:" + e.Address
	}
	list := []agent{client, server}
	if e.By.ID == "" {
		return list
	}
	participation, display := "IRCP", "information recipient"
	if w.action == "C" || w.action == "U" || w.action == "D" {
		participation, display = "AUT", "author (originator)"
	}
	user := agent{
		Type: &concept{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/v3-ParticipationType", participation, display}}},
		Who:  reference{Reference: e.By.Person, Identifier: &identifier{"urn:ward:principal", e.By.ID}}, AltID: e.By.ID, Requestor: true,
	}
	if e.By.Role != "" {
		user.Role = []concept{{Coding: []coding{{"urn:ward:role", e.By.Role, ""}}}}
	}
	list = append(list, user)
	if e.By.OnBehalfOf != "" {
		list = append(list, agent{
			Type: &concept{Coding: []coding{{"http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "CST", "custodian"}}},
			Who:  reference{Identifier: &identifier{"urn:ward:on-behalf-of", e.By.OnBehalfOf}},
		})
	}
	return list
}

func (e *Entry) entities(w word) []entity {
	var list []entity
	object := &coding{entityTypes, "2", "System Object"}
	if e.Request != "" {
		list = append(list, entity{
			What: &reference{Identifier: &identifier{Value: e.Request}},
			Type: &coding{"https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", ""},
		})
	}
	for _, p := range e.Patients {
		list = append(list, entity{
			What: &reference{Reference: "Patient/" + p}, Type: &coding{entityTypes, "1", "Person"}, Role: &coding{objectRoles, "1", "Patient"},
		})
	}
	if e.ID != "" && e.Event.ID != "" && e.Type != "" {
		data := entity{What: e.what(), Type: object, Role: &coding{objectRoles, "4", "Domain Resource"}}
		list = append(list, data)
	}
	if e.Query != "" || w.profile == "Query" {
		query := e.Type + "?" + e.Query
		list = append(list, entity{Type: object, Role: &coding{objectRoles, "24", "Query"}, Description: query, Query: []byte(query)})
	}
	if e.Count > 1 {
		list = append(list, entity{
			What: &reference{Display: "how many"}, Type: object,
			Detail: []entityDetail{{"count", strconv.FormatInt(e.Count, 10)}},
		})
	}
	return list
}

// what is the resource that it was about, or the thing of ours.
func (e *Entry) what() *reference {
	if c := e.Type[0]; c < 'A' || c > 'Z' {
		return &reference{Identifier: &identifier{"urn:ward:" + e.Type, e.Event.ID}}
	}
	ref := e.Type + "/" + e.Event.ID
	if e.Version > 0 {
		ref += "/_history/" + strconv.FormatInt(e.Version, 10)
	}
	return &reference{Reference: ref}
}

// Package part has the parts of FHIR resources that the calendar reads, as far as it reads them: whether a period includes a day, where somebody is
// reached, in which state a place is. It reads nothing by itself and keeps nothing.
package part

import "strings"

// Reference is a FHIR reference.
type Reference struct {
	Reference string `json:"reference"`
}

// Period is a FHIR Period.
type Period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// Covers says whether a period includes a day, such as "2026-01-05". What is not said is open; a year or month stands for all of its days.
func (p Period) Covers(day string) bool {
	if s := p.Start; s != "" {
		n := min(len(s), len(day))
		if s[:n] > day[:n] {
			return false
		}
	}
	if e := p.End; e != "" {
		n := min(len(e), len(day))
		if e[:n] < day[:n] {
			return false
		}
	}
	return true
}

// Address is a FHIR Address.
type Address struct {
	Use    string `json:"use"`
	State  string `json:"state"`
	Period Period `json:"period"`
}

// Coding is a FHIR Coding.
type Coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// Concept is a FHIR CodeableConcept.
type Concept struct {
	Coding []Coding `json:"coding"`
	Text   string   `json:"text"`
}

// Extension is a FHIR Extension, with the values that rules look at.
type Extension struct {
	URL       string      `json:"url"`
	Extension []Extension `json:"extension"`
	Concept   Concept     `json:"valueCodeableConcept"`
	Coding    Coding      `json:"valueCoding"`
	Code      string      `json:"valueCode"`
	Text      string      `json:"valueString"`
}

// Contact is a FHIR ContactPoint.
type Contact struct {
	System string `json:"system"`
	Value  string `json:"value"`
	Rank   int    `json:"rank"`
	Period Period `json:"period"`
}

// Reached is where somebody is reached by a channel, "email" or "sms", on a day: of several the one with the first rank; empty when nowhere.
func Reached(list []Contact, channel, day string) string {
	best, rank := "", 0
	for _, t := range list {
		fits := channel == "email" && t.System == "email" || channel == "sms" && (t.System == "sms" || t.System == "phone")
		if !fits || t.Value == "" || !t.Period.Covers(day) {
			continue
		}
		if n := t.Rank; best == "" || n != 0 && (rank == 0 || n < rank) {
			best, rank = strings.TrimSpace(t.Value), n
		}
	}
	return best
}

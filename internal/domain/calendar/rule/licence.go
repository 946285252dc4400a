package rule

import (
	"strings"

	"ward/internal/domain/calendar/part"
)

// licensed: each practitioner is licensed, on the day of the visit, in the state where the patient will be. FHIR R4 has no jurisdiction in a
// qualification: it is read from the extension practitioner-qualification of US directories (whereValid, with its status), or from one whose URL
// ends in jurisdiction.
func licensed(v *Visit) string {
	if v.State == "" {
		return "it is not known in which state the patient will be: say it in patient-state"
	}
	for i := range v.Practitioners {
		if !v.Practitioners[i].licensedIn(v.State, v.Day()) {
			return "the clinician is not licensed in " + v.State + ", where the patient will be on " + v.Day()
		}
	}
	return ""
}

func (p *Practitioner) licensedIn(state, day string) bool {
	if p.Active != nil && !*p.Active {
		return false
	}
	for _, q := range p.Qualification {
		if !q.Period.Covers(day) {
			continue
		}
		where, active := jurisdictions(q.Extension)
		for _, w := range where {
			if active && StateCode(w) == state {
				return true
			}
		}
	}
	return false
}

// jurisdictions are where a qualification is valid, and whether it says that it is.
func jurisdictions(list []part.Extension) (where []string, active bool) {
	active = true
	for _, e := range list {
		name := e.URL[strings.LastIndexByte(e.URL, '/')+1:]
		switch name {
		case "practitioner-qualification", "ndh-practitioner-qualification", "base-ext-qualification":
			inner, ok := jurisdictions(e.Extension)
			where, active = append(where, inner...), active && ok
		case "status":
			active = active && (e.Code == "" || e.Code == "active")
		case "whereValid", "jurisdiction":
			for _, c := range e.Concept.Coding {
				where = append(where, c.Code)
			}
			for _, text := range []string{e.Concept.Text, e.Coding.Code, e.Code, e.Text} {
				if text != "" {
					where = append(where, text)
				}
			}
		}
	}
	return where, active
}

// StateCode is the two letters of a state of the US, from them, from ISO 3166-2 or from its name; other places as they are written, in capitals.
func StateCode(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	s = strings.TrimPrefix(s, "US-")
	if code, ok := states[s]; ok {
		return code
	}
	return s
}

//nolint:gochecknoglobals // constant table
var states = map[string]string{
	"ALABAMA": "AL", "ALASKA": "AK", "ARIZONA": "AZ", "ARKANSAS": "AR", "CALIFORNIA": "CA", "COLORADO": "CO", "CONNECTICUT": "CT", "DELAWARE": "DE",
	"DISTRICT OF COLUMBIA": "DC", "FLORIDA": "FL", "GEORGIA": "GA", "HAWAII": "HI", "IDAHO": "ID", "ILLINOIS": "IL", "INDIANA": "IN", "IOWA": "IA",
	"KANSAS": "KS", "KENTUCKY": "KY", "LOUISIANA": "LA", "MAINE": "ME", "MARYLAND": "MD", "MASSACHUSETTS": "MA", "MICHIGAN": "MI", "MINNESOTA": "MN",
	"MISSISSIPPI": "MS", "MISSOURI": "MO", "MONTANA": "MT", "NEBRASKA": "NE", "NEVADA": "NV", "NEW HAMPSHIRE": "NH", "NEW JERSEY": "NJ",
	"NEW MEXICO": "NM", "NEW YORK": "NY", "NORTH CAROLINA": "NC", "NORTH DAKOTA": "ND", "OHIO": "OH", "OKLAHOMA": "OK", "OREGON": "OR",
	"PENNSYLVANIA": "PA", "RHODE ISLAND": "RI", "SOUTH CAROLINA": "SC", "SOUTH DAKOTA": "SD", "TENNESSEE": "TN", "TEXAS": "TX", "UTAH": "UT",
	"VERMONT": "VT", "VIRGINIA": "VA", "WASHINGTON": "WA", "WEST VIRGINIA": "WV", "WISCONSIN": "WI", "WYOMING": "WY", "PUERTO RICO": "PR",
	"GUAM": "GU", "AMERICAN SAMOA": "AS", "NORTHERN MARIANA ISLANDS": "MP", "U.S. VIRGIN ISLANDS": "VI",
}

package access

import (
	"slices"

	"ward/internal/format/fhir/spec"
)

// Links are the codes of the search parameters by which resources of a type stand in a patient's compartment (FHIR R4
// compartmentdefinition-patient.html), and those by which types that the standard leaves out are about a patient. A resource is in reach
// when it is linked to a patient who is. Empty: resources of the type are linked to nobody. A Patient is linked to itself alone, and a
// Binary by its securityContext: neither is listed here.
func Links(typ string) []string {
	switch typ {
	case "Patient":
		return nil
	case "Device", "GuidanceResponse", "Task", "Contract":
		return []string{"patient"}
	}
	return slices.Clone(spec.R4().Compartment("Patient").Params(typ))
}

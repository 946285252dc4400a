package access

import (
	"slices"
	"strings"
)

// Reach says whose records a row of the table is about.
type Reach uint8

// The reaches, from the narrowest.
const (
	None Reach = iota // nothing
	Own               // the compartments of the principal's own patients
	Care              // those of the patients in the principal's care, or all: by the tenant's choice
	All               // everybody's
)

// String is the reach's name in the table.
func (r Reach) String() string { return [...]string{"none", "own", "care", "all"}[r] }

// The groups of resource types. Each type is in exactly one.
const (
	Definitions = "definitions" // what is no one's: conformance, terminology, questionnaires, measures
	Directory   = "directory"   // what is no one's: who works where
	Catalogue   = "catalogue"   // what is no one's: medicines, substances, devices as products
	Slots       = "slots"       // what is no one's: when somebody has time
	People      = "people"      // who patients are
	Chart       = "chart"       // what is known of them
	Orders      = "orders"      // what is asked for
	Told        = "told"        // what patients say themselves
	Visits      = "visits"      // when they come
	Cover       = "cover"       // who pays
	Money       = "money"       // what is paid
	Work        = "work"        // what is passed on between people and systems
	Origin      = "origin"      // where records come from
	Trail       = "trail"       // who did what
)

// groups lists the resource types of each group, in the order of the tables.
//
//nolint:gochecknoglobals // constant table
var groups = []struct{ name, types string }{
	{Definitions, `ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap EffectEvidenceSynthesis
		EventDefinition Evidence EvidenceVariable ExampleScenario GraphDefinition ImplementationGuide Library Measure MessageDefinition NamingSystem
		ObservationDefinition OperationDefinition PlanDefinition Questionnaire ResearchDefinition ResearchElementDefinition RiskEvidenceSynthesis
		SearchParameter SpecimenDefinition StructureDefinition StructureMap TerminologyCapabilities TestScript ValueSet`},
	{Directory, `Endpoint HealthcareService InsurancePlan Location Organization OrganizationAffiliation Practitioner PractitionerRole`},
	{Catalogue, `CatalogEntry DeviceDefinition Medication MedicationKnowledge MedicinalProduct MedicinalProductAuthorization
		MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
		MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect Substance
		SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification`},
	{Slots, `Schedule Slot`},
	{People, `Patient Person RelatedPerson`},
	{Chart, `AdverseEvent AllergyIntolerance BodyStructure CarePlan CareTeam ClinicalImpression Composition Condition Consent DetectedIssue
		DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference FamilyMemberHistory Flag Goal ImagingStudy Immunization
		ImmunizationEvaluation ImmunizationRecommendation Media MedicationAdministration MedicationDispense MedicationStatement MolecularSequence
		Observation Procedure RiskAssessment Specimen SupplyDelivery`},
	{Orders, `CommunicationRequest DeviceRequest MedicationRequest NutritionOrder RequestGroup ServiceRequest SupplyRequest VisionPrescription`},
	{Told, `AppointmentResponse Communication QuestionnaireResponse`},
	{Visits, `Appointment Encounter EpisodeOfCare`},
	{Cover, `Coverage CoverageEligibilityRequest CoverageEligibilityResponse EnrollmentRequest EnrollmentResponse`},
	{Money, `Account ChargeItem Claim ClaimResponse Contract ExplanationOfBenefit Invoice PaymentNotice PaymentReconciliation`},
	{Work, `Basic Binary BiologicallyDerivedProduct Bundle Device DeviceMetric Group GuidanceResponse Linkage List MeasureReport MessageHeader
		OperationOutcome Parameters ResearchStudy ResearchSubject Subscription Task TestReport VerificationResult`},
	{Origin, `Provenance`},
	{Trail, `AuditEvent`},
}

// Row is a line of the table: what a role may do with the resources of some groups, and whose. Actions are SMART's letters: c create,
// r read (also a version and the history of one), u update and patch, d delete, s search (also the history of a type).
type Row struct {
	Role    string
	Groups  []string
	Actions string
	Reach   Reach
}

// table is what each role may do with records. What is in no row is not allowed. The system is not in it: it may do everything.
//
//nolint:gochecknoglobals // constant table
var table = []Row{
	{Patient, []string{Definitions, Directory, Catalogue, Slots}, "rs", All},
	{Patient, []string{People, Chart, Orders, Visits, Cover, Money, Work}, "rs", Own},
	{Patient, []string{Told}, "crus", Own},

	{Proxy, []string{Definitions, Directory, Catalogue, Slots}, "rs", All},
	{Proxy, []string{People, Chart, Orders, Visits, Cover, Money, Work}, "rs", Own},
	{Proxy, []string{Told}, "crus", Own},

	{Clinician, []string{Definitions, Directory, Slots}, "rs", All},
	{Clinician, []string{Catalogue}, "crus", All},
	{Clinician, []string{People}, "crus", Care},
	{Clinician, []string{Chart, Orders, Told, Visits, Work}, "cruds", Care},
	{Clinician, []string{Cover, Money}, "rs", Care},
	{Clinician, []string{Origin}, "crs", Care},

	{Nurse, []string{Definitions, Directory, Catalogue, Slots}, "rs", All},
	{Nurse, []string{People, Chart, Told, Visits, Work}, "crus", Care},
	{Nurse, []string{Orders, Cover}, "rs", Care},
	{Nurse, []string{Origin}, "crs", Care},

	{FrontDesk, []string{Definitions, Directory}, "rs", All},
	{FrontDesk, []string{Slots, People, Visits, Cover}, "crus", All},

	{Biller, []string{Definitions, Directory, People, Visits}, "rs", All},
	{Biller, []string{Cover}, "crus", All},
	{Biller, []string{Money}, "cruds", All},

	{Analyst, []string{Definitions, Directory, Catalogue, Slots, People, Chart, Orders, Told, Visits, Cover, Money, Work}, "rs", All},

	{Admin, []string{Definitions, Directory, Catalogue, Slots, People, Chart, Orders, Told, Visits, Cover, Money, Work, Origin}, "cruds", All},
	{Admin, []string{Trail}, "rs", All},

	{Auditor, []string{Definitions, Directory, Origin, Trail}, "rs", All},

	{Integration, []string{Definitions, Directory, Catalogue, Slots}, "crus", All},
	{Integration, []string{People, Chart, Orders, Told, Visits, Cover, Money, Work}, "cruds", All},
	{Integration, []string{Origin}, "crs", All},
	{Integration, []string{Trail}, "c", All},

	// Only while it acts on behalf of somebody whom the tenant let in.
	{Operator, []string{Definitions, Directory, Catalogue, Slots, People, Chart, Orders, Told, Visits, Cover, Money, Work, Origin, Trail}, "rs", All},
}

// Table is what each role may do with records, for documents and tests.
func Table() []Row { return slices.Clone(table) }

// Groups are the names of the groups, in the order of the tables.
func Groups() []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.name
	}
	return names
}

// TypesOf are the resource types of a group.
func TypesOf(group string) []string {
	for _, g := range groups {
		if g.name == group {
			return strings.Fields(g.types)
		}
	}
	return nil
}

// Shared says whether resources of a type are no one's: they stand in nobody's chart, and whoever may see one may see all.
func Shared(typ string) bool {
	for _, g := range groups[:4] {
		if slices.Contains(strings.Fields(g.types), typ) {
			return true
		}
	}
	return false
}

package load

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Population is the made-up data that Prepare stores and the workloads ask for: a pure function of its sizes.
type Population struct {
	Patients      int
	Observations  int
	Practitioners int // who sign the results; 0: 20
}

const usualPractitioners = 20

func (p Population) practitioners() int {
	if p.Practitioners == 0 {
		return usualPractitioners
	}
	return p.Practitioners
}

// codesPerPatient: each patient has results of a few kinds, each many times, as in a chronic patient's chart.
const codesPerPatient = 4

// measure is a kind of result.
type measure struct {
	loinc, name, unit, ucum, category string
	low, high                         int // the reference range, in tenths of the unit
}

//nolint:gochecknoglobals // constant table
var measures = []measure{
	{"8867-4", "Heart rate", "beats/minute", "/min", "vital-signs", 600, 1000},
	{"9279-1", "Respiratory rate", "breaths/minute", "/min", "vital-signs", 120, 200},
	{"8310-5", "Body temperature", "degrees C", "Cel", "vital-signs", 361, 372},
	{"8480-6", "Systolic blood pressure", "mm[Hg]", "mm[Hg]", "vital-signs", 900, 1300},
	{"8462-4", "Diastolic blood pressure", "mm[Hg]", "mm[Hg]", "vital-signs", 600, 850},
	{"2708-6", "Oxygen saturation in Arterial blood", "%", "%", "vital-signs", 940, 1000},
	{"29463-7", "Body weight", "kg", "kg", "vital-signs", 450, 1100},
	{"39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", "kg/m2", "vital-signs", 185, 250},
	{"2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", "mg/dL", "laboratory", 700, 1000},
	{"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%", "laboratory", 40, 57},
	{"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", "laboratory", 6, 13},
	{"2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", "laboratory", 35, 51},
	{"2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", "laboratory", 1350, 1450},
	{"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", "laboratory", 120, 175},
	{"6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", "10*3/uL", "laboratory", 45, 110},
	{"777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", "10*3/uL", "laboratory", 1500, 4000},
	{"2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", "laboratory", 1250, 2000},
	{"2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", "laboratory", 500, 1500},
	{"1742-6", "Alanine aminotransferase [Enzymatic activity/volume]", "U/L", "U/L", "laboratory", 70, 560},
	{"33914-3", "Glomerular filtration rate/1.73 sq M.predicted", "mL/min/{1.73_m2}", "mL/min/{1.73_m2}", "laboratory", 600, 1200},
}

//nolint:gochecknoglobals // constant table
var (
	families = []string{
		"Abara", "Albrecht", "Almeida", "Andersen", "Bakker", "Baptiste", "Bianchi", "Borowski", "Castillo", "Cheung", "Côté", "Dalgaard",
		"Diallo", "Dimitrov", "Eriksen", "Esposito", "Farouk", "Fernández", "Fischer", "Fraser", "Gallagher", "García", "Grönholm", "Haddad",
		"Hansen", "Ibrahim", "Ivanova", "Jansen", "Jørgensen", "Kaplan", "Kovács", "Kowalczyk", "Laurent", "Lindqvist", "MacLeod", "Mbeki",
		"Moreau", "Müller", "Nakamura", "Nguyen", "Novák", "O'Brien", "Okafor", "Olsen", "Papadakis", "Park", "Pereira", "Petrov", "Quispe",
		"Rahman", "Ramírez", "Rossi", "Saarinen", "Schmidt", "Silva", "Singh", "Sørensen", "Tanaka", "Teixeira", "Tran", "Ueda", "Vasquez",
		"Virtanen", "Weber", "Wójcik", "Yamamoto", "Yılmaz", "Zhang", "Zieliński",
	}
	givens = []string{
		"Ada", "Amir", "Ana", "Björn", "Carla", "Chidi", "Clara", "Daniel", "Elif", "Emil", "Fatima", "Femi", "Grace", "Hana", "Hugo", "Ines",
		"Ivan", "Jonas", "Kaito", "Lea", "Lucas", "Maja", "Mateo", "Mei", "Nia", "Noah", "Olga", "Omar", "Pavel", "Priya", "Quinn", "Rosa",
		"Samir", "Sofia", "Tariq", "Uma", "Viktor", "Wen", "Yara", "Zoe",
	}
	cities = []string{"Aarhus", "Bergen", "Cork", "Delft", "Évora", "Faro", "Ghent", "Huelva", "Ioannina", "Jena", "Kraków", "Leeds"}
)

func random(kind, i uint64) *rand.Rand { return rand.New(rand.NewPCG(kind, i)) } //nolint:gosec // made-up data

func patientID(i int) string { return "load-patient-" + strconv.Itoa(i) }

func encounterID(i int) string { return "load-encounter-" + strconv.Itoa(i) }

// identity is how the front desk looks a patient up.
type identity struct{ family, given, birthDate string }

func identityOf(i int) identity {
	r := random(1, uint64(i))
	born := time.Date(1930, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(33000))
	return identity{families[r.IntN(len(families))], givens[r.IntN(len(givens))], born.Format(time.DateOnly)}
}

// measureOf is the n-th kind of result that patient i has.
func measureOf(i, n int) *measure {
	return &measures[(i*7+n*(1+i%3))%len(measures)]
}

func appendPatient(dst []byte, i int, id string) []byte {
	who, r := identityOf(i), random(2, uint64(i))
	gender := "female"
	if r.IntN(2) == 0 {
		gender = "male"
	}
	dst = append(dst, `{"resourceType":"Patient"`...)
	if id != "" {
		dst = appendMember(dst, `,"id":"`, id)
	}
	dst = append(dst, `,"identifier":[{"use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}]},"system":"urn:oid:2.16.840.1.113883.19.5.7","value":"MRN-`...)
	dst = strconv.AppendUint(dst, r.Uint64N(1e9), 10)
	dst = appendMember(dst, `"}],"active":true,"name":[{"use":"official","family":"`, who.family)
	dst = append(dst[:len(dst)-1], `","given":["`...)
	dst = append(dst, who.given...)
	dst = append(dst, `"]}],"telecom":[{"system":"phone","value":"555-`...)
	dst = strconv.AppendInt(dst, int64(1000000+r.IntN(9000000)), 10)
	dst = append(dst, `","use":"mobile"}],"gender":"`...)
	dst = append(dst, gender...)
	dst = appendMember(dst, `","birthDate":"`, who.birthDate)
	dst = append(dst, `,"address":[{"use":"home","line":["`...)
	dst = strconv.AppendInt(dst, int64(1+r.IntN(240)), 10)
	dst = append(dst, ` Harbour Street"],"city":"`...)
	dst = append(dst, cities[r.IntN(len(cities))]...)
	dst = append(dst, `","postalCode":"`...)
	dst = strconv.AppendInt(dst, int64(10000+r.IntN(89999)), 10)
	return append(dst, `"}]}`...)
}

func appendEncounter(dst []byte, i int, id string) []byte {
	dst = append(dst, `{"resourceType":"Encounter"`...)
	if id != "" {
		dst = appendMember(dst, `,"id":"`, id)
	}
	dst = append(dst, `,"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB","display":"ambulatory"},"subject":{"reference":"Patient/`...)
	dst = append(dst, patientID(i)...)
	return append(dst, `"},"period":{"start":"2019-03-11T09:15:00+01:00","end":"2019-03-11T09:45:00+01:00"}}`...)
}

// appendMember appends a prefix that opens a string, the text and the closing quote. The texts here need no escapes.
func appendMember(dst []byte, prefix, text string) []byte {
	dst = append(dst, prefix...)
	dst = append(dst, text...)
	return append(dst, '"')
}

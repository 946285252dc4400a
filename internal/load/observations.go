package load

import (
	"math/rand/v2"
	"strconv"
	"time"
)

//nolint:gochecknoglobals // constant table
var (
	firstResult = time.Date(2012, 1, 1, 6, 0, 0, 0, time.UTC)
	notes       = []string{
		"Measured at rest, patient seated, left arm.", "Sample slightly haemolysed; repeat if clinically indicated.",
		"Taken before breakfast as agreed with the patient.", "Device checked this morning, within tolerance.",
		"Patient reports feeling well, no change of medication.", "Discussed with the patient, follow-up in three months.",
		"Second reading after five minutes of rest.", "Result telephoned to the ward and read back.",
	}
	devices = []string{"Bedside monitor 4", "Analyser C501, bench 2", "Portable meter 11", "Scale, room 3"}
)

// appendObservation appends a result of about 1.5 KB: what a laboratory or a bedside device sends, with the identifiers,
// performers, ranges and remarks that real messages have. Only r decides on its content beside the patient, the kind and how many may have signed it.
func appendObservation(dst []byte, r *rand.Rand, patient, practitioners int, m *measure) []byte {
	spread := m.high - m.low
	value := max(1, m.low-spread/4+r.IntN(spread+spread/2+1))
	when := firstResult.Add(time.Duration(r.Int64N(12*365*24*3600)) * time.Second)
	flag, word := "N", "Normal"
	if value > m.high {
		flag, word = "H", "High"
	} else if value < m.low {
		flag, word = "L", "Low"
	}
	dst = append(dst, `{"resourceType":"Observation","identifier":[{"use":"official","system":"urn:oid:2.16.840.1.113883.19.5.9","value":"`...)
	dst = strconv.AppendUint(dst, r.Uint64(), 36)
	dst = append(dst, `"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"`...)
	dst = append(dst, m.category...)
	dst = append(dst, `","display":"`...)
	dst = append(dst, m.category...)
	dst = append(dst, `"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"`...)
	dst = append(dst, m.loinc...)
	dst = append(dst, `","display":"`...)
	dst = append(dst, m.name...)
	dst = append(dst, `"},{"system":"urn:oid:2.16.840.1.113883.19.5.11","code":"LAB-`...)
	dst = append(dst, m.loinc...)
	dst = append(dst, `","userSelected":true}],"text":"`...)
	dst = append(dst, m.name...)
	dst = append(dst, `"},"subject":{"reference":"Patient/`...)
	dst = append(dst, patientID(patient)...)
	dst = append(dst, `"},"encounter":{"reference":"Encounter/`...)
	dst = append(dst, encounterID(patient)...)
	dst = append(dst, `"},"effectiveDateTime":"`...)
	dst = when.AppendFormat(dst, time.RFC3339)
	dst = append(dst, `","issued":"`...)
	dst = when.Add(time.Duration(r.IntN(7200))*time.Second).AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","performer":[{"reference":"Practitioner/load-practitioner-`...)
	dst = strconv.AppendInt(dst, int64(r.IntN(practitioners)), 10)
	dst = append(dst, `"}],"valueQuantity":{"value":`...)
	dst = appendTenths(dst, value)
	dst = append(dst, `,"unit":"`...)
	dst = append(dst, m.unit...)
	dst = append(dst, `","system":"http://unitsofmeasure.org","code":"`...)
	dst = append(dst, m.ucum...)
	dst = append(dst, `"},"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"`...)
	dst = append(dst, flag...)
	dst = append(dst, `","display":"`...)
	dst = append(dst, word...)
	dst = append(dst, `"}]}],"note":[{"text":"`...)
	dst = append(dst, notes[r.IntN(len(notes))]...)
	dst = append(dst, `"}],"device":{"display":"`...)
	dst = append(dst, devices[r.IntN(len(devices))]...)
	dst = append(dst, `"},"referenceRange":[{"low":{"value":`...)
	dst = appendTenths(dst, m.low)
	dst = appendUnit(dst, m)
	dst = append(dst, `},"high":{"value":`...)
	dst = appendTenths(dst, m.high)
	dst = appendUnit(dst, m)
	return append(dst, `},"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/referencerange-meaning","code":"normal","display":"Normal Range"}]}}]}`...)
}

func appendUnit(dst []byte, m *measure) []byte {
	dst = append(dst, `,"unit":"`...)
	dst = append(dst, m.unit...)
	dst = append(dst, `","system":"http://unitsofmeasure.org","code":"`...)
	dst = append(dst, m.ucum...)
	return append(dst, '"')
}

// appendTenths writes 365 as 36.5: decimals as a device writes them.
func appendTenths(dst []byte, v int) []byte {
	dst = strconv.AppendInt(dst, int64(v/10), 10)
	dst = append(dst, '.')
	return strconv.AppendInt(dst, int64(v%10), 10)
}

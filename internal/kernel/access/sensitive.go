package access

import (
	"bytes"
	"slices"
	"strings"

	"ward/internal/format/jsontape"
)

// Classes is a set of sensitive classes. A record that carries labels of several classes is seen by those who have a grant for each.
type Classes uint16

// sensitive lists the classes with the codes of v3-Confidentiality and v3-ActCode that mean them.
//
//nolint:gochecknoglobals // constant table
var sensitive = []struct{ class, confidentiality, act string }{
	{"restricted", "R", "SPI"},
	{"veryrestricted", "V", ""},
	{"mentalhealth", "", "PSY PSYTHPN MH BH COGN DVD EMOTDIS"},
	{"hiv", "", "HIV"},
	{"substance", "", "ETH ETHUD OPIOIDUD SUD"},
	{"sexual", "", "SEX STD MST SDV"},
	{"violence", "", "VIO"},
	{"genetic", "", "GDIS SCA SICKLE"},
	{"adolescent", "", "ADOL"},
	{"taboo", "", "TBOO PRS PDS PHY DIA"},
	{"vip", "", "CEL EMP VIP"},
}

const allClasses Classes = 1<<11 - 1 // as many as there are lines

// SensitiveClasses are the names of all classes, in the order of the table.
func SensitiveClasses() []string {
	names := make([]string, len(sensitive))
	for i, s := range sensitive {
		names[i] = s.class
	}
	return names
}

// ParseClasses is the set of the named classes. Names that are none are passed over.
func ParseClasses(names []string) (c Classes) {
	for i, s := range sensitive {
		if slices.Contains(names, s.class) {
			c |= 1 << i
		}
	}
	return c
}

// String is the names of the classes.
func (c Classes) String() string {
	var names []string
	for i, s := range sensitive {
		if c&(1<<i) != 0 {
			names = append(names, s.class)
		}
	}
	return strings.Join(names, " ")
}

// LabelsOf is the sensitive classes of a resource, by the labels in its meta.security and in those of resources inside it. json is compact, as
// records store it.
func LabelsOf(json []byte) (Classes, error) {
	if !mayCarryLabels(json) {
		return 0, nil
	}
	doc := jsontape.Get()
	defer jsontape.Put(doc)
	if err := doc.Parse(json); err != nil {
		return allClasses, err
	}
	return labelsBelow(doc, doc.Root()), nil
}

// mayCarryLabels is quick: most resources have no security labels, and none of their keys is escaped.
func mayCarryLabels(json []byte) bool {
	const member = `"security":[`
	for at := 0; ; at++ { // brackets are rarer than quotation marks
		n := bytes.IndexByte(json[at:], '[')
		if n < 0 {
			break
		}
		if at += n; bytes.HasSuffix(json[:at+1], []byte(member)) {
			return true
		}
	}
	for at := 0; ; at += 2 {
		n := bytes.IndexByte(json[min(at, len(json)):], '\\')
		if n < 0 {
			return false
		}
		if at += n; at+1 < len(json) && json[at+1] == 'u' {
			return true // a letter may be written so
		}
	}
}

func labelsBelow(doc *jsontape.Doc, n jsontape.Node) (c Classes) {
	isObject := doc.Kind(n) == jsontape.Object
	for m := doc.First(n); m != jsontape.Invalid; m = doc.Next(m) {
		switch doc.Kind(m) { //nolint:exhaustive // the others hold no labels
		case jsontape.Object:
			if isObject && string(doc.Key(m)) == "meta" {
				list := doc.Get(m, "security")
				for coding := doc.First(list); coding != jsontape.Invalid; coding = doc.Next(coding) {
					c |= classOf(doc.Text(doc.Get(coding, "system")), doc.Text(doc.Get(coding, "code")))
				}
			}
			c |= labelsBelow(doc, m)
		case jsontape.Array:
			c |= labelsBelow(doc, m)
		}
	}
	return c
}

// classOf is the class of one label. A code without a system is taken for HL7's: a label that protects too much can be mended.
func classOf(system, code string) (c Classes) {
	confidentiality := system == "" || strings.HasSuffix(system, "Confidentiality") || system == "urn:oid:2.16.840.1.113883.5.25"
	act := system == "" || strings.HasSuffix(system, "ActCode") || system == "urn:oid:2.16.840.1.113883.5.4"
	for i, s := range sensitive {
		if confidentiality && s.confidentiality != "" && strings.EqualFold(code, s.confidentiality) ||
			act && slices.ContainsFunc(strings.Fields(s.act), func(known string) bool { return strings.EqualFold(known, code) }) {
			c |= 1 << i
		}
	}
	return c
}

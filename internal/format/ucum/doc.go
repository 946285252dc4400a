// Package ucum reads units of measure as written in UCUM (The Unified Code for Units of Measure, version 2.1) and converts
// between those that measure the same thing.
//
// [Parse] understands the whole grammar (prefixes, products, quotients, exponents, parentheses, annotations) over the
// units that clinical data uses. Factors are exact rational numbers. Where UCUM and clinical safety disagree, safety
// wins: mol, eq and osm are dimensions of their own (so mmol/L never equals meq/L), as are the arbitrary units ([IU],
// [arb'U], ...) and the logarithmic ones (pH, B, Np), which convert to nothing but themselves and their prefixed forms.
//
// Values of one [Unit.Dimension] are comparable after [Unit.Canonical]. The canonical unit of a dimension is the one that
// clinicians use most (kg, cm, mm[Hg], mg/dL, mmol/L, Cel, ...), so that common data needs no conversion.
//
// Hostile input is bounded: codes longer than 128 bytes, exponents beyond ±24 and parentheses deeper than 8 are errors.
package ucum

package postgres

// The texts of many rows, for tests of their plans.
var (
	LookupText = lookupText
	DeleteText = deleteText
)

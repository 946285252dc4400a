// Package e2e drives the built binary from outside, as a newcomer, an operator and other people's FHIR clients do:
// embedded, and scaled out on the servers that WARD_TEST_* name.
//
// Nothing of Ward's code is imported. WARD_BINARY names the program; without it, it is built.
package e2e

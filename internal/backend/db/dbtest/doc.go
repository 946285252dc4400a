// Package dbtest is the conformance suite that every driver of db passes ([Run]), the proof that no tenant sees another's rows
// ([Isolation]), and databases for the tests of those who use db ([SQLite], [Postgres], [Each]).
package dbtest

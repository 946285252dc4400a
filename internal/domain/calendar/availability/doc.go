// Package availability is the rules of when somebody or something can be booked, and what is computed from them: open stretches, starts, free seats. Slots
// are never stored. Working hours, breaks and time off are on the wall clock of the rules' zone, whatever it does; everything that is claimed lies in
// cells of 5 minutes ([CellOf]).
//
// It is pure: what is claimed already, and what the time is, is told to it. It fails with Invalid, naming each part of rules that can't be used and what it may be.
package availability

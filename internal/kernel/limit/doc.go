// Package limit keeps the process within what it can do: [Lanes] admits work up to a hard ceiling, the most urgent first.
//
// [Rates] holds each tenant to a number of requests a second.
//
// Background work never takes more than half of the ceiling and interactive work leaves an eighth to urgent work, so a
// bulk load can fill the machine and people notice little, and an alert gets in when people fill it. Work that finds no
// place waits, for a bounded time in a bounded queue; what does not fit is refused at once with fault.Exhausted and when to try again.
package limit

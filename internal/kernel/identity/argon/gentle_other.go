//go:build !linux

package argon

// giveWay does nothing where threads have no priority of their own.
func giveWay() {}

package availability

// CellSeconds is how long a cell is: all times that are booked begin and end on cells.
const CellSeconds = 300

// CellOf is the cell that an instant, in seconds, lies in.
func CellOf(seconds int64) int32 {
	c := seconds / CellSeconds
	if seconds%CellSeconds < 0 {
		c--
	}
	return int32(c) //nolint:gosec // years up to 9999
}

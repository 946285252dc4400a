package app

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 64MB, 1.5GB, 512KB or 1048576; units are powers of 1,024.
type Size int64

//nolint:gochecknoglobals // constant table
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}, {"", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	in := strings.ToUpper(strings.ReplaceAll(string(text), " ", ""))
	in = strings.Replace(in, "IB", "B", 1)
	for _, u := range sizeUnits {
		number, ok := strings.CutSuffix(in, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n < 0 || n*float64(u.bytes) > 1<<60 {
			break
		}
		*s = Size(n * float64(u.bytes))
		return nil
	}
	return fmt.Errorf("%q is no size: write a number and a unit, such as 64MB", text)
}

// MarshalText writes the size in its largest whole unit.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the size in its largest whole unit.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0"
}

package rule

import (
	"strconv"
	"time"

	"ward/internal/domain/calendar/availability"
)

// ageAccepted: the service accepts the patient's age on the day of the visit. A birth date that is only a year or a month is taken in the
// patient's favour.
func ageAccepted(v *Visit) string {
	s := v.Service
	if v.Patient.BirthDate == "" {
		return "the patient's birth date is not known, and " + s.Title + " is for certain ages"
	}
	youngest, oldest, ok := ages(v.Patient.BirthDate, v.Day())
	switch {
	case !ok:
		return "the patient's birth date can't be read"
	case s.MinimumAge != nil && oldest < *s.MinimumAge:
		return s.Title + " is for patients of " + strconv.Itoa(*s.MinimumAge) + " years and older"
	case s.MaximumAge != nil && youngest > *s.MaximumAge:
		return s.Title + " is for patients up to " + availability.Plural(*s.MaximumAge, "year")
	}
	return ""
}

// ages are the least and the most full years that somebody can have on a day.
func ages(birth, day string) (youngest, oldest int, ok bool) {
	on, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return 0, 0, false
	}
	first, last := birth, birth
	switch len(birth) {
	case 4:
		first, last = birth+"-01-01", birth+"-12-31"
	case 7:
		month, err := time.Parse("2006-01", birth)
		if err != nil {
			return 0, 0, false
		}
		first, last = birth+"-01", month.AddDate(0, 1, -1).Format(time.DateOnly)
	}
	early, err1 := time.Parse(time.DateOnly, first)
	late, err2 := time.Parse(time.DateOnly, last)
	if err1 != nil || err2 != nil {
		return 0, 0, false
	}
	return years(late, on), years(early, on), true
}

// years are the full years from birth to a day. Who was born on 29 February has a birthday on 1 March in other years.
func years(birth, on time.Time) int {
	n := on.Year() - birth.Year()
	if on.Month() < birth.Month() || on.Month() == birth.Month() && on.Day() < birth.Day() {
		n--
	}
	return n
}

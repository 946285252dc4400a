package calendar

// payerActive: somebody pays. One of the patient's coverages is active and covers the day of the visit.
func payerActive(v *visit) string {
	for _, c := range v.coverages {
		if c.Status == "active" && c.Period.covers(v.day()) {
			return ""
		}
	}
	return "no insurance of the patient is active on " + v.day()
}

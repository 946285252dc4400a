package rule

// payerActive: somebody pays. One of the patient's coverages is active and covers the day of the visit.
func payerActive(v *Visit) string {
	for _, c := range v.Coverages {
		if c.Status == "active" && c.Period.Covers(v.Day()) {
			return ""
		}
	}
	return "no insurance of the patient is active on " + v.Day()
}

package app

import (
	"context"
	"fmt"

	"ward/internal/base/scope"
)

// bookingDemo makes some of the demo's clinicians bookable: a week of mornings and afternoons with lunch between them.
func (a *App) bookingDemo(ctx context.Context, t scope.Tenant) error {
	ctx = scope.WithTenant(ctx, t)
	for id, body := range map[string]string{
		"visit":     `{"title":"Office visit","minutes":30}`,
		"follow-up": `{"title":"Follow-up by video","minutes":15,"telehealth":true}`,
	} {
		if err := a.Booking.PutService(ctx, id, []byte(body)); err != nil {
			return err
		}
	}
	const some = 8
	found, err := a.Records.Matching(ctx, "Practitioner", "", some)
	if err != nil {
		return err
	}
	days := []string{"MO,TU,WE,TH,FR", "MO,TU,TH", "TU,WE,FR", "MO,WE,TH,FR"}
	for i, v := range found {
		body := fmt.Sprintf(`{"actor":"Practitioner/%s","zone":"America/New_York","hours":[{"rrule":"FREQ=WEEKLY;BYDAY=%s","start":"%02d:00","end":"%02d:00"}],
			"breaks":[{"rrule":"FREQ=DAILY","start":"12:00","end":"13:00"}],"services":[{"service":"visit"},{"service":"follow-up"}],"minimumNotice":60,"publish":%t}`,
			v.ID, days[i%len(days)], 8+i%2, 16+i%2, i%2 == 0)
		if err := a.Booking.PutAvailability(ctx, fmt.Sprintf("clinician-%d", i+1), []byte(body)); err != nil {
			return err
		}
	}
	return nil
}

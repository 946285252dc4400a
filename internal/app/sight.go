package app

import (
	"context"

	"ward/internal/domain/calendar/booking"
	"ward/internal/domain/calendar/sight"
	"ward/internal/domain/records"
	"ward/internal/kernel/tenancy"
)

// sightIn is whom the records let callers see, as the calendar asks it.
func sightIn(r *records.Service) sight.Finder {
	return func(ctx context.Context) (sight.Sight, error) { return r.Sight(ctx) }
}

// bookingLimits are those that a tenant sets.
func bookingLimits(tenants *tenancy.Directory) func(ctx context.Context) (booking.Limits, error) {
	return func(ctx context.Context) (booking.Limits, error) {
		s, err := tenants.Settings(ctx)
		if err != nil || s.Booking == nil {
			return booking.Limits{}, err
		}
		return booking.Limits(*s.Booking), nil
	}
}

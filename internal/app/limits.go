package app

import (
	"context"

	"ward/internal/base/scope"
	"ward/internal/kernel/limit"
	"ward/internal/kernel/tenancy"
)

// rate holds tenants to the requests a second that the directory allows them.
func (a *App) rate() func(ctx context.Context, t scope.Tenant) error {
	rates := limit.NewRates(a.clock)
	return func(ctx context.Context, t scope.Tenant) error {
		most, err := a.Tenants.Limit(ctx, t.ID, tenancy.LimitRequests)
		if err != nil || most == 0 {
			return err
		}
		return rates.Take(t.ID, most)
	}
}

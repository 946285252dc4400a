package booking

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/part"
)

// proposal is a time at which a visit could be, computed and not stored. Its id says all of it: schedule, start and service.
type proposal struct {
	availability *availability.Availability
	service      *availability.Service
	starts, ends int64
	free         int // seats
}

func (p *proposal) id() string {
	return p.availability.ID + "." + strconv.FormatInt(p.starts/60, 36) + "." + p.service.ID
}

// parseProposal reads the id of a proposal.
func parseProposal(s string) (schedule, service string, starts int64, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return "", "", 0, false
	}
	minutes, err := strconv.ParseInt(parts[1], 36, 64)
	const most = 1 << 32
	return parts[0], parts[2], minutes * 60, err == nil && minutes >= 0 && minutes < most && parts[0] != "" && parts[2] != ""
}

// finding is what $find asks.
type finding struct {
	from, to int64
	services []string // empty: all
	actors   []string // empty: all
	places   []string // empty: all
	publish  bool     // only what is published

	organizations []string // empty: all
	specialties   []string // codes, or system|code; empty: all
	// roles are who has the specialty or is of the organization by their PractitionerRoles.
	bySpecialty, byOrganization map[string]bool
}

// Bounds of a search for free times.
const (
	maxFindDays  = 92
	maxProposals = 50_000
)

// find computes the free times in the order of their start.
//
// Errors: Invalid for a window that is too long or ends before it starts, TooCostly for more than maxProposals.
func (b *Service) find(ctx context.Context, f *finding) (list []proposal, err error) {
	switch {
	case f.to <= f.from:
		return nil, fault.Invalid("end must be after start")
	case f.to-f.from > maxFindDays*86400:
		return nil, fault.Invalid("end is more than %d days after start: ask for %d days at most", maxFindDays, maxFindDays)
	}
	if err := b.roles(ctx, f); err != nil {
		return nil, err
	}
	now := b.deps.Clock.Now().Unix()
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		list = nil
		all, err := b.findable(ctx, q, f)
		if err != nil {
			return err
		}
		services := map[string]*availability.Service{}
		for _, a := range all {
			if list, err = b.findIn(ctx, q, f, a, services, now, list); err != nil {
				return err
			}
		}
		return nil
	})
	slices.SortStableFunc(list, func(x, y proposal) int { return int(x.starts - y.starts) })
	return list, err
}

// findable are the availabilities that a search is about.
func (b *Service) findable(ctx context.Context, q db.Querier, f *finding) ([]*availability.Availability, error) {
	var all []*availability.Availability
	if len(f.actors) == 0 {
		var err error
		if all, err = b.allAvailabilities(ctx, q); err != nil {
			return nil, err
		}
	} else {
		of, err := b.availabilitiesOf(ctx, q, f.actors)
		if err != nil {
			return nil, err
		}
		for _, p := range f.actors {
			all = append(all, of[p]...)
		}
	}
	return slices.DeleteFunc(all, func(a *availability.Availability) bool {
		return !a.Bookable() || !f.fits(a) || f.publish && !a.Publish || len(f.places) > 0 && !slices.Contains(f.places, a.Location) && !slices.Contains(f.places, a.Actor)
	}), nil
}

// fits says whether an availability is of a wanted organization and specialty: by its own words, or by the PractitionerRoles of who it is about.
func (f *finding) fits(a *availability.Availability) bool {
	return (len(f.organizations) == 0 || slices.Contains(f.organizations, a.Organization) || f.byOrganization[a.Actor]) &&
		(len(f.specialties) == 0 || a.Treats(f.specialties) || f.bySpecialty[a.Actor])
}

// roles finds out who has the wanted specialties and who is of the wanted organizations.
func (b *Service) roles(ctx context.Context, f *finding) (err error) {
	if len(f.specialties) > 0 {
		if f.bySpecialty, err = b.practise(ctx, "specialty", f.specialties); err != nil {
			return err
		}
	}
	if len(f.organizations) > 0 {
		f.byOrganization, err = b.practise(ctx, "organization", f.organizations)
	}
	return err
}

// practise are who have a PractitionerRole that meets a criterion and is not ended: the practitioners, and the roles themselves.
func (b *Service) practise(ctx context.Context, parameter string, values []string) (map[string]bool, error) {
	for _, v := range values {
		if strings.ContainsAny(v, "&,$\\\n") {
			return nil, fault.Invalid("%s must be a code, system|code or a reference", parameter)
		}
	}
	const most = 2000
	found, err := b.deps.Records.Matching(asSystem(ctx), "PractitionerRole", parameter+"="+url.QueryEscape(strings.Join(values, ",")), most)
	if err != nil {
		return nil, err
	}
	who := make(map[string]bool, len(found))
	for _, text := range found {
		var r struct {
			ID           string         `json:"id"`
			Active       *bool          `json:"active"`
			Practitioner part.Reference `json:"practitioner"`
		}
		if json.Unmarshal(text, &r) == nil && (r.Active == nil || *r.Active) {
			who["PractitionerRole/"+r.ID], who[r.Practitioner.Reference] = true, true
		}
	}
	return who, nil
}

const claimedIn = `SELECT cell, seat, expires FROM calendar_claim WHERE resource = $1 AND cell >= $2 AND cell < $3`

// findIn adds the free times of one availability.
func (b *Service) findIn(ctx context.Context, q db.Querier, f *finding, a *availability.Availability, services map[string]*availability.Service, now int64, list []proposal) ([]proposal, error) {
	low, _ := a.Claimed(f.from, f.from)
	_, high := a.Claimed(f.to+availability.DayMinutes*60, f.to+availability.DayMinutes*60)
	var taken *availability.SeatMap
	for _, o := range a.Services {
		if len(f.services) > 0 && !slices.Contains(f.services, o.Service) {
			continue
		}
		s := services[o.Service]
		if s == nil {
			var err error
			if s, err = b.service(ctx, q, o.Service); fault.Is(err, fault.CodeNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			services[o.Service] = s
		}
		if taken == nil {
			taken = availability.NewSeatMap(low, high, a.Seats())
			err := q.Query(ctx, claimedIn, func(r db.Row) error {
				if expires := r.Int64(2); expires == 0 || expires > now {
					taken.Take(int32(r.Int64(0)), int32(r.Int64(1))) //nolint:gosec // as stored
				}
				return nil
			}, resourceOf(a.Actor), int64(low), int64(high))
			if err != nil {
				return nil, err
			}
		}
		a.Starts(a.Offers(s), f.from, f.to, now, func(start, end int64) bool {
			if n := taken.Free(a.Claimed(start, end)); n > 0 {
				list = append(list, proposal{a, s, start, end, n})
			}
			return len(list) <= maxProposals
		})
		if len(list) > maxProposals {
			return nil, fault.New(fault.CodeTooCostly, "more than %d times are free: ask for a shorter window, one service or one practitioner", maxProposals)
		}
	}
	return list, nil
}

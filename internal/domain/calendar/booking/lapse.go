package booking

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/rule"
)

// Licences, coverages and birthdays change after a visit was booked. Every night each booked visit to come is held against its rules again, and
// those that would no longer be booked are listed.

// Lapse is a booked visit against which there is a rule by now.
type Lapse struct {
	Appointment string         `json:"appointment"` // FHIR reference
	Start       time.Time      `json:"start"`
	Found       time.Time      `json:"found"`
	Findings    []rule.Finding `json:"findings"`
}

// nightHour is the hour of the day, in UTC, from which the check of the day is done.
const nightHour = 2

// nightly does the check when the day's is due.
func (b *Service) nightly(ctx context.Context) error {
	now := b.deps.Clock.Now().UTC()
	due := time.Date(now.Year(), now.Month(), now.Day(), nightHour, 0, 0, 0, time.UTC)
	if now.Before(due) {
		due = due.AddDate(0, 0, -1)
	}
	_, last, err := b.Lapses(ctx)
	if err != nil || !last.Before(due) {
		return err
	}
	return b.CheckLapses(ctx)
}

const (
	bookedFrom  = `SELECT id, state, starts, ends, expires, body FROM calendar_booking WHERE state = 2 AND (starts > $1 OR starts = $1 AND id > $2) ORDER BY starts, id LIMIT 500`
	checkedAt   = `SELECT at FROM calendar_checked WHERE name = $1`
	allLapses   = `SELECT booking, starts, found, reasons FROM calendar_lapse ORDER BY starts, booking`
	clearLapses = `DELETE FROM calendar_lapse`
	lapseCheck  = "lapses"
)

// CheckLapses holds all booked visits to come against their rules.
func (b *Service) CheckLapses(ctx context.Context) (err error) {
	defer fault.Op(&err, "calendar.CheckLapses")
	now := b.deps.Clock.Now().Unix()
	var ids []string
	var starts, found []int64
	var reasons [][]byte
	services := map[string]*availability.Service{}
	key, err := b.deps.Keys.For(ctx)
	if err != nil {
		return err
	}
	from, after := now, ""
	for {
		var page []*booking
		err := b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
			page = nil
			err := q.Query(ctx, bookedFrom, func(r db.Row) error {
				v, err := scanBooking(key, r.Text(0), r, 1)
				page = append(page, v)
				return err
			}, from, after)
			if err != nil {
				return err
			}
			for _, v := range page {
				if services[v.Service] == nil {
					s, err := b.service(ctx, q, v.Service)
					if fault.Is(err, fault.CodeNotFound) {
						s, err = &availability.Service{ID: v.Service}, nil // no longer offered: it asks for nothing
					}
					if err != nil {
						return err
					}
					services[v.Service] = s
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, v := range page {
			from, after = v.starts, v.id
			findings, err := b.reexamine(ctx, services[v.Service], v)
			if err != nil {
				return err
			}
			if len(findings) == 0 {
				continue
			}
			text, err := json.Marshal(findings)
			if err != nil {
				return fault.Internal("findings can't be written").With(err)
			}
			ids, starts, found, reasons = append(ids, v.id), append(starts, v.starts), append(found, now), append(reasons, text)
		}
	}
	return b.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		if _, err := tx.Exec(ctx, clearLapses); err != nil {
			return err
		}
		if len(ids) > 0 {
			if _, err := tx.Upsert(ctx, "calendar_lapse", []string{"booking"}, db.Col("booking", ids), db.Col("starts", starts), db.Col("found", found), db.Col("reasons", reasons)); err != nil {
				return err
			}
		}
		_, err := tx.Upsert(ctx, "calendar_checked", []string{"name"}, db.Col("name", []string{lapseCheck}), db.Col("at", []int64{now}))
		return err
	})
}

// reexamine holds a booked visit against its rules again. A party whose resource is gone is a finding too.
func (b *Service) reexamine(ctx context.Context, s *availability.Service, v *booking) ([]rule.Finding, error) {
	if v.Patient == "" {
		return nil, nil
	}
	visit, err := b.visitOf(ctx, s, v, v.Licensed)
	if fault.Is(err, fault.CodeUnprocessable) {
		return []rule.Finding{{Rule: "participants", Reason: fault.Message(err)}}, nil
	}
	if err != nil {
		return nil, err
	}
	return rule.Examine(visit), nil
}

// Lapses is what the last check found, and when it was; zero when there was none yet.
func (b *Service) Lapses(ctx context.Context) (list []Lapse, checked time.Time, err error) {
	err = b.deps.DB.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		list, checked = nil, time.Time{}
		err := q.Query(ctx, checkedAt, func(r db.Row) error {
			checked = time.Unix(r.Int64(0), 0).UTC()
			return nil
		}, lapseCheck)
		if err != nil {
			return err
		}
		return q.Query(ctx, allLapses, func(r db.Row) error {
			l := Lapse{Appointment: "Appointment/" + r.Text(0), Start: time.Unix(r.Int64(1), 0).UTC(), Found: time.Unix(r.Int64(2), 0).UTC()}
			if err := json.Unmarshal(r.Bytes(3), &l.Findings); err != nil {
				return fault.Internal("findings can't be read").With(err)
			}
			list = append(list, l)
			return nil
		})
	})
	return list, checked, err
}

// seenLapses are those of visits whose patients the caller sees.
func (b *Service) seenLapses(ctx context.Context, list []Lapse) (seen []Lapse, err error) {
	ids, patients := make([]string, len(list)), map[string]string{}
	for i, l := range list {
		ids[i] = strings.TrimPrefix(l.Appointment, "Appointment/")
	}
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		clear(patients)
		return b.loadBookings(ctx, q, ids, false, func(v *booking) { patients[v.id] = v.Patient })
	})
	if err != nil {
		return nil, err
	}
	hidden, err := b.hidden(ctx, slices.Sorted(maps.Values(patients)))
	if err != nil {
		return nil, err
	}
	for i, l := range list {
		if patient, ok := patients[ids[i]]; ok && !hidden[patient] {
			seen = append(seen, l)
		}
	}
	return seen, nil
}

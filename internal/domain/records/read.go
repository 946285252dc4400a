package records

import (
	"context"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
)

const (
	selectByID      = `SELECT rid, version, seq, op, body FROM records_resource WHERE type = $1 AND id = $2`
	selectHistoric  = `SELECT rid, version, seq, op, body FROM records_history WHERE rid = $1 AND version = $2`
	selectFirstSeen = `SELECT rid, version, seq, op, body FROM records_history WHERE seq = $1 AND rid = $2`
)

// Read returns the current version of a resource.
//
// Errors: NotFound when there never was one, Gone when it is deleted.
func (s *Service) Read(ctx context.Context, typ, id string) (*Version, error) {
	return s.answers.resource(ctx, typ, id, func() (v *Version, err error) {
		err = s.db.Read(ctx, func(ctx context.Context, q db.Querier) error {
			v, err = s.read(ctx, q, typ, id)
			return err
		})
		return v, err
	})
}

// read returns the current version of a resource, also when that is a deletion. It errs with NotFound.
func (s *Service) read(ctx context.Context, q db.Querier, typ, id string) (*Version, error) {
	var v *Version
	err := q.Query(ctx, selectByID, func(r db.Row) (err error) {
		v, err = s.scanVersion(r, typ, id)
		return err
	}, s.number(typ), encodeID(id))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, notFound(typ)
	}
	return v, nil
}

// versionRead returns one version of a resource, which may be a deletion. It errs with NotFound.
func (s *Service) versionRead(ctx context.Context, q db.Querier, typ, id string, number int64) (*Version, error) {
	v, err := s.read(ctx, q, typ, id)
	if err != nil || v.Number == number {
		return v, err
	}
	var old *Version
	scan := func(r db.Row) (err error) {
		old, err = s.scanVersion(r, typ, id)
		return err
	}
	if number == 1 {
		err = q.Query(ctx, selectFirstSeen, scan, v.RID, v.RID)
	} else {
		err = q.Query(ctx, selectHistoric, scan, v.RID, number)
	}
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, fault.NotFound("this %s has no version %d; its versions are 1 to %d", typ, number, v.Number)
	}
	return old, nil
}

func notFound(typ string) error { return fault.NotFound("there is no such %s", typ) }

func gone(typ string) error {
	return fault.Gone("this %s was deleted; its history can still be read", typ)
}

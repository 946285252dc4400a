package records

import (
	"context"
	"log/slog"
	"runtime"

	"golang.org/x/sync/semaphore"

	"ward/internal/backend/cache"
	"ward/internal/backend/db"
	"ward/internal/base/clock"
	"ward/internal/base/scope"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/format/fhir/validate"
	"ward/internal/kernel/seal"
)

// Deps is what the record store is built on.
type Deps struct {
	DB          *db.DB
	Cache       *cache.Cache
	Keys        Keys // what bodies are sealed with
	Definitions *spec.Definitions
	Validator   *validate.Validator
	Standard    *search.Registry // the parameters of the standard
	Clock       clock.Clock
	Log         *slog.Logger
	CursorKey   []byte // signs page cursors; the same in every process
	Settings    func(ctx context.Context) (Settings, error)
	Tenants     func(ctx context.Context) ([]scope.Tenant, error) // the active ones, for work behind the scenes
	Audit       Audit                                             // records all that is done; nil: nothing does
	Version     string                                            // Ward's own, for the capability statement
	Operations  map[string][][2]string                            // of other domains, by type: name and canonical URL, for the capability statement
	BaseURL     string                                            // what URLs in answers begin with, without the tenant; empty: taken from the request
	// Security gives the addresses of the extension oauth-uris, by name, for the service base URL; nil: tokens come otherwise.
	Security func(base string) map[string]string

	// Opened gives the ids of patients whom the principal in ctx may see beside those in its care, because it broke the glass for
	// them. It is asked at each request of a principal who is kept to its care, and answers from memory. nil: there are none.
	Opened func(ctx context.Context) ([]string, error)
}

// Keys gives the key of the scope's tenant; kernel/seal's Keys is one.
type Keys interface {
	For(ctx context.Context) (*seal.Key, error)
}

// Settings are a tenant's choices.
type Settings struct {
	// ReferentialIntegrity refuses a write that refers to a resource which is not there, and a deletion of one that
	// others refer to.
	ReferentialIntegrity bool
	// CareOnly keeps clinicians and nurses to the charts of the patients in their care.
	CareOnly bool
	// MostResources is how many resources there may be, without what is deleted; 0 is any number.
	MostResources int64
}

// Service is the record store of all tenants: the scope in each call's context says whose.
type Service struct {
	db          *db.DB
	quotas      quotas
	definitions *spec.Definitions
	validator   *validate.Validator
	standard    *search.Registry
	parameters  *parameters
	clock       clock.Clock
	log         *slog.Logger
	cursorKey   []byte
	settings    func(ctx context.Context) (Settings, error)
	tenants     func(ctx context.Context) ([]scope.Tenant, error)
	version     string
	baseURL     string
	security    func(base string) map[string]string
	operations  map[string][][2]string

	keys     Keys
	audit    Audit
	packer   *packer
	sequence *sequencer
	flights  *flights
	batcher  *db.Batcher[*Change]

	bundles    *semaphore.Weighted // bytes of bundles under way
	bundleRoom int64
	answers    *answers

	opened   func(ctx context.Context) ([]string, error)
	links    map[string][]*search.Param // by which types are linked to patients
	caring   caring
	panels   panels
	panelled panelled

	leadPatients int
}

// New builds the record store. It reads nothing yet.
func New(d Deps) (*Service, error) {
	packer, err := newPacker()
	if err != nil {
		return nil, err
	}
	s := &Service{
		db: d.DB, definitions: d.Definitions, validator: d.Validator, standard: d.Standard, clock: d.Clock, log: d.Log,
		cursorKey: d.CursorKey, settings: d.Settings, tenants: d.Tenants, version: d.Version, baseURL: d.BaseURL, security: d.Security, operations: d.Operations,
		keys: d.Keys, audit: d.Audit, packer: packer, sequence: newSequencer(d.Clock), answers: &answers{cache: d.Cache},
		opened: d.Opened, links: newLinks(d.Standard, d.Definitions.ResourceTypes()), leadPatients: leadPatients,
	}
	s.bundleRoom = int64(runtime.GOMAXPROCS(0)) * bundleRoom
	s.bundles = semaphore.NewWeighted(s.bundleRoom)
	s.flights = newFlights(s.sequence)
	s.parameters = newParameters(s)
	s.batcher = db.NewBatcher(d.DB, s.applyGroup, db.BatcherOptions{MaxItems: 256})
	return s, nil
}

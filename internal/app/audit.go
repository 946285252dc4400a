package app

import (
	"ward/internal/base/scope"
	"ward/internal/domain/records"
	"ward/internal/format/fhir/search"
	"ward/internal/format/fhir/spec"
	"ward/internal/kernel/audit"
)

// buildAudit makes the log that everything else records in.
func (a *App) buildAudit() (err error) {
	b := a.Backends
	names := parameterNames()
	a.Audit, err = audit.New(audit.Deps{
		DB: b.DB, Secret: b.keys.audit, Keys: b.Seal, Clock: a.clock, Log: a.log, Blobs: b.Blobs, Tenants: a.allTenants,
		Emergency: func(tenant int32, by *scope.Principal, patients []string) bool {
			return a.Glass.Used(tenant, by, patients)
		},
		Parameter: func(name string) bool { return names[name] },
	})
	return err
}

// recorder is where the records say what is done with them.
func (a *App) recorder() records.Audit {
	if a.options.Unrecorded {
		a.log.Error("NOTHING THAT IS DONE WITH RECORDS IS RECORDED (Options.Unrecorded): this is for measurements only")
		return nil
	}
	return a.Audit
}

// parameterNames are the names of FHIR R4's search parameters. Others, which a client made up, may hold anything.
func parameterNames() map[string]bool {
	names := map[string]bool{}
	for _, result := range []string{"_count", "_sort", "_summary", "_elements", "_include", "_revinclude", "_total", "_format", "_pretty", "_since", "_at", "_type", "_has", "_list"} {
		names[result] = true
	}
	standard := search.Standard()
	for _, typ := range spec.R4().ResourceTypes() {
		for _, p := range standard.Params(typ) {
			names[p.Code] = true
		}
	}
	return names
}

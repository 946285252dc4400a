package operators

import (
	"net/http"
	"time"

	"ward/internal/kernel/access"
	"ward/internal/kernel/module"
	"ward/internal/kernel/serve"
)

func (a *Access) routes() []module.Route {
	route := func(method, pattern, permission, summary string, h func(http.ResponseWriter, *http.Request) error) module.Route {
		return module.Route{
			Method: method, Pattern: pattern, Target: module.API, Lane: module.Interactive, Permission: permission, BodyLimit: 16 << 10,
			Objective: module.Objective{Percentile: 0.95, Latency: time.Second}, Summary: summary, Handler: h,
		}
	}
	const of = module.TenantPrefix + "operator-access"
	return []module.Route{
		route("POST", of, access.OperatorGrant, "Let an operator read the records for up to 4 hours", a.handleGive),
		route("GET", of, access.OperatorGrant, "Which operators were let in", a.handleList),
		route("DELETE", of+"/{id}", access.OperatorGrant, "End an operator's access", a.handleRevoke),
		route("POST", "/admin/operator-access", access.OperatorEnter, "Exchange a tenant's grant for a token", a.handleEnter),
	}
}

// wire is a grant over HTTP.
type wire struct {
	ID       string `json:"id"`
	Operator string `json:"operator,omitempty"`
	By       string `json:"by"`
	Given    string `json:"given"`
	Until    string `json:"until"`
	Revoked  string `json:"revoked,omitempty"`
	Token    string `json:"token,omitempty"` // once, to who entered
}

func written(g Grant) wire {
	w := wire{ID: g.ID, Operator: g.Operator, By: g.By, Given: g.Given.Format(time.RFC3339Nano), Until: g.Until.Format(time.RFC3339Nano)}
	if !g.Revoked.IsZero() {
		w.Revoked = g.Revoked.Format(time.RFC3339Nano)
	}
	return w
}

// handleGive answers POST /t/{tenant}/operator-access {operator, reason, minutes}.
func (a *Access) handleGive(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		Operator string `json:"operator"`
		Reason   string `json:"reason"`
		Minutes  int    `json:"minutes"`
	}{Minutes: int(Longest.Minutes())}
	if err := serve.TakeJSON(r, &in); err != nil {
		return err
	}
	if in.Minutes > int(Longest.Minutes()) {
		in.Minutes = 0 // refused: it must not wrap around
	}
	g, err := a.Give(r.Context(), in.Operator, in.Reason, time.Duration(in.Minutes)*time.Minute)
	if err != nil {
		return err
	}
	return serve.SendJSON(w, http.StatusCreated, written(g))
}

// handleList answers GET /t/{tenant}/operator-access.
func (a *Access) handleList(w http.ResponseWriter, r *http.Request) error {
	const most = 1000
	list, err := a.List(r.Context(), most)
	if err != nil {
		return err
	}
	out := struct {
		Grants []wire `json:"grants"`
	}{Grants: []wire{}}
	for _, g := range list {
		out.Grants = append(out.Grants, written(g))
	}
	return serve.SendJSON(w, http.StatusOK, out)
}

// handleRevoke answers DELETE /t/{tenant}/operator-access/{id}.
func (a *Access) handleRevoke(w http.ResponseWriter, r *http.Request) error {
	if err := a.Revoke(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handleEnter answers POST /admin/operator-access {tenant, grant}.
func (a *Access) handleEnter(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Tenant string `json:"tenant"`
		Grant  string `json:"grant"`
	}
	if err := serve.TakeJSON(r, &in); err != nil {
		return err
	}
	token, g, err := a.Enter(r.Context(), in.Tenant, in.Grant)
	if err != nil {
		return err
	}
	out := written(g)
	out.Token = token
	return serve.SendJSON(w, http.StatusCreated, out)
}

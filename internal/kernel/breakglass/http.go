package breakglass

import (
	"net/http"
	"strconv"
	"time"

	"ward/internal/base/fault"
	"ward/internal/kernel/audit"
	"ward/internal/kernel/serve"
)

// wire is an opening over HTTP.
type wire struct {
	ID       string `json:"id"`
	By       string `json:"by"`
	Role     string `json:"role"`
	Person   string `json:"person,omitempty"`
	Patient  string `json:"patient"`
	Reason   string `json:"reason"`
	Opened   string `json:"opened"`
	Until    string `json:"until"`
	Ended    string `json:"ended,omitempty"`
	Reviewed string `json:"reviewed,omitempty"`
	Reviewer string `json:"reviewer,omitempty"`
	Verdict  string `json:"verdict,omitempty"`
}

func written(o Opening) wire {
	w := wire{
		ID: o.ID, By: o.By, Role: o.Role, Person: o.Person, Patient: o.Patient, Reason: o.Reason.Reveal(), Opened: o.Opened.Format(time.RFC3339Nano),
		Until: o.Until.Format(time.RFC3339Nano), Reviewer: o.Reviewer, Verdict: o.Verdict.Reveal(),
	}
	if !o.Ended.IsZero() {
		w.Ended = o.Ended.Format(time.RFC3339Nano)
	}
	if !o.Reviewed.IsZero() {
		w.Reviewed = o.Reviewed.Format(time.RFC3339Nano)
	}
	return w
}

// handleOpen answers POST /t/{tenant}/break-glass {patient, reason, minutes}.
func (g *Glass) handleOpen(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		Patient string `json:"patient"`
		Reason  string `json:"reason"`
		Minutes int    `json:"minutes"`
	}{Minutes: int(Longest.Minutes())}
	if err := serve.TakeJSON(r, &in); err != nil {
		return err
	}
	if !g.deps.Factor(r, Fresh) {
		g.deps.Audit.Security(r.Context(), audit.SecondFactor, "break-glass")
		return fault.Denied("show your second factor first, at /t/%s/second-factor?return=..., and ask again within %d minutes", r.PathValue("tenant"), int(Fresh.Minutes()))
	}
	if in.Minutes > int(Longest.Minutes()) {
		in.Minutes = 0 // refused: it must not wrap around
	}
	o, err := g.Open(r.Context(), in.Patient, in.Reason, time.Duration(in.Minutes)*time.Minute)
	if err != nil {
		return err
	}
	return serve.SendJSON(w, http.StatusCreated, written(o))
}

// handleList answers GET /t/{tenant}/break-glass[?all=true&before=id].
func (g *Glass) handleList(w http.ResponseWriter, r *http.Request) error {
	const page = 100
	all, _ := strconv.ParseBool(r.URL.Query().Get("all"))
	list, err := g.List(r.Context(), all, r.URL.Query().Get("before"), page)
	if err != nil {
		return err
	}
	if err := g.deps.Audit.Record(r.Context(), audit.Event{Action: audit.AuditRead, Detail: "break-glass", Count: int64(len(list))}); err != nil {
		return err
	}
	out := struct {
		Openings []wire `json:"openings"`
		Next     string `json:"next,omitempty"`
	}{Openings: []wire{}}
	for _, o := range list {
		out.Openings = append(out.Openings, written(o))
	}
	if len(list) == page {
		out.Next = list[page-1].ID
	}
	return serve.SendJSON(w, http.StatusOK, out)
}

// handleReview answers POST /t/{tenant}/break-glass/{id}/review {verdict}.
func (g *Glass) handleReview(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Verdict string `json:"verdict"`
	}
	if err := serve.TakeJSON(r, &in); err != nil {
		return err
	}
	if err := g.Review(r.Context(), r.PathValue("id"), in.Verdict); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// handleEnd answers DELETE /t/{tenant}/break-glass/{id}.
func (g *Glass) handleEnd(w http.ResponseWriter, r *http.Request) error {
	if err := g.End(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

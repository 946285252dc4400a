package booking

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/domain/calendar/availability"
	"ward/internal/domain/calendar/part"
)

// SMART Scheduling Links (smart-on-fhir/smart-scheduling-links): free slots of availabilities that say publish, as newline-delimited JSON with a
// manifest, for everybody to see. They hold when somebody is free, never who is not.

// publishDays is how many days ahead are published; each is a file.
const publishDays = 28

// Extensions of a published Slot.
const (
	deepLink     = "http://fhir-registry.smarthealthit.org/StructureDefinition/booking-deep-link"
	slotCapacity = "http://fhir-registry.smarthealthit.org/StructureDefinition/slot-capacity"
)

func (b *Service) handleManifest(w http.ResponseWriter, r *http.Request) error {
	base := b.base(r) + "/calendar/slots/"
	type output struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	}
	manifest := struct {
		TransactionTime string   `json:"transactionTime"`
		Request         string   `json:"request"`
		Output          []output `json:"output"`
		Error           []output `json:"error"`
	}{
		TransactionTime: b.deps.Clock.Now().UTC().Format(time.RFC3339), Request: base + "$bulk-publish",
		Output: []output{{"Location", base + "locations.ndjson"}, {"Schedule", base + "schedules.ndjson"}}, Error: []output{},
	}
	today := b.deps.Clock.Now().UTC()
	for week := 0; week < publishDays; week += 7 {
		manifest.Output = append(manifest.Output, output{"Slot", base + "slots-" + today.AddDate(0, 0, week).Format(time.DateOnly) + ".ndjson"})
	}
	return sendJSON(w, manifest)
}

func (b *Service) handlePublished(w http.ResponseWriter, r *http.Request) error {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".ndjson")
	if !ok {
		return fault.NotFound("there is no such file: see $bulk-publish")
	}
	var body []byte
	var err error
	switch day, slots := strings.CutPrefix(name, "slots-"); {
	case name == "locations":
		body, err = b.publishedLocations(r.Context())
	case name == "schedules":
		body, err = b.publishedSchedules(r.Context())
	case slots:
		from, parseErr := time.Parse(time.DateOnly, day)
		now := b.deps.Clock.Now().UTC()
		if parseErr != nil || from.Before(now.AddDate(0, 0, -8)) || from.After(now.AddDate(0, 0, publishDays)) {
			return fault.NotFound("there is no such file: see $bulk-publish")
		}
		body, err = b.publishedSlots(r, from.Unix())
	default:
		return fault.NotFound("there is no such file: see $bulk-publish")
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "public, max-age=60")
	if slices.Contains(r.Header["If-None-Match"], etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, "application/fhir+ndjson", body)
}

// published are the availabilities that are.
func (b *Service) published(ctx context.Context) (list []*availability.Availability, err error) {
	err = b.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		list, err = b.findable(ctx, q, &finding{publish: true})
		return err
	})
	return list, err
}

func (b *Service) publishedLocations(ctx context.Context) ([]byte, error) {
	list, err := b.published(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	seen := map[string]bool{}
	for _, a := range list {
		place := a.Place()
		if place == "" || seen[place] {
			continue
		}
		seen[place] = true
		text, err := b.deps.Records.Read(asSystem(ctx), "Location", strings.TrimPrefix(place, "Location/"))
		if fault.Is(err, fault.CodeNotFound) || fault.Is(err, fault.CodeGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Of a Location's content, what the guide names is for everybody.
		m := members{}
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, fault.Internal("a stored Location can't be read").With(err)
		}
		for name := range m {
			if !slices.Contains([]string{"resourceType", "id", "name", "telecom", "address", "description", "position"}, name) {
				delete(m, name)
			}
		}
		line, err := json.Marshal(m)
		if err != nil {
			return nil, fault.Internal("a Location can't be written").With(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes(), nil
}

func (b *Service) publishedSchedules(ctx context.Context) ([]byte, error) {
	list, err := b.published(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, a := range list {
		text, err := scheduleOf(a, a.ID)
		if err != nil {
			return nil, err
		}
		m := members{}
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, fault.Internal("a Schedule can't be read").With(err)
		}
		delete(m, "meta")
		if place := a.Place(); place != "" {
			m.set("actor", []part.Reference{{Reference: place}}) // the guide wants a Location alone
		}
		line, err := json.Marshal(m)
		if err != nil {
			return nil, fault.Internal("a Schedule can't be written").With(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes(), nil
}

func (b *Service) publishedSlots(r *http.Request, from int64) ([]byte, error) {
	list, err := b.find(r.Context(), &finding{from: from, to: from + 7*86400, publish: true})
	if err != nil {
		return nil, err
	}
	link := b.base(r) + "/book?slot="
	var out bytes.Buffer
	for i := range list {
		p := &list[i]
		m := members{"resourceType": json.RawMessage(`"Slot"`), "status": json.RawMessage(`"free"`)}
		m.set("id", p.id())
		m.set("schedule", part.Reference{Reference: "Schedule/" + p.availability.ID})
		m.set("start", instant(p.starts, p.availability.Clocks()))
		m.set("end", instant(p.ends, p.availability.Clocks()))
		m.set("serviceType", []any{map[string]any{"coding": []any{map[string]string{"system": serviceSystem, "code": p.service.ID, "display": p.service.Title}}}})
		extensions := []any{map[string]string{"url": deepLink, "valueUrl": link + p.id()}}
		if p.free > 1 {
			extensions = append(extensions, map[string]any{"url": slotCapacity, "valueInteger": json.Number(strconv.Itoa(p.free))})
		}
		m.set("extension", extensions)
		line, err := json.Marshal(m)
		if err != nil {
			return nil, fault.Internal("a Slot can't be written").With(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes(), nil
}

package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// clinic answers as a tenant does: charts, invitations and activations, of which some have to come again and each takes its turn.
type clinic struct {
	mu       sync.Mutex
	invited  int
	taken    map[string]bool
	asked    map[string]int
	refusals int
}

func (c *clinic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/t/x/fhir/Observation"):
		fmt.Fprint(w, `{"resourceType":"Bundle"}`)
	case path == "/t/x/people" && r.Header.Get("Authorization") == "Bearer boss":
		c.invited++
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"link": fmt.Sprintf("https://elsewhere.example/t/x/activate/link-%08d", c.invited)})
	case strings.HasPrefix(path, "/t/x/activate/"):
		link := strings.TrimPrefix(path, "/t/x/activate/")
		if len(c.taken) == 3 && c.refusals == 0 {
			c.refusals++
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if c.taken[link] {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		c.taken[link] = true
		w.Header().Set("Location", "/t/x/activation/"+link)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"state":"waiting","ahead":2,"seconds":1.5}`)
	case strings.HasPrefix(path, "/t/x/activation/"):
		if c.asked[path]++; c.asked[path] < 3 {
			fmt.Fprint(w, `{"state":"waiting"}`)
			return
		}
		fmt.Fprint(w, `{"state":"done"}`)
	default:
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{}`)
	}
}

func TestActivation_CountsWhatBecomesOfEach(t *testing.T) {
	t.Parallel()
	c := &clinic{taken: map[string]bool{}, asked: map[string]int{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	target, err := ParseTarget(server.URL+"/t/x/fhir", "doctor")
	if err != nil {
		t.Fatal(err)
	}
	opt := ActivationOptions{
		Population: Population{Patients: 5, Observations: 20}, Admin: "boss", Rate: 20, Duration: 500 * time.Millisecond, Rounds: 2, Charts: 50, Conns: 2,
		Patience: 20 * time.Second, Prefix: "p", FirstAwake: 10 * time.Millisecond,
	}
	r, err := Activation(t.Context(), target, opt, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 20 || r.Accepted != 20 || r.Done != 20 || r.Failed != 0 || r.Busy != 1 || r.Promised != 1.5 {
		t.Errorf("%+v", r)
	}
	if len(r.EachAlone) != 3 || len(r.EachDuring) != 2 || r.Alone.Requests < 60 || r.During.Requests < 40 || r.Alone.Errors+r.During.Errors != 0 || r.Alone.P95 <= 0 {
		t.Errorf("%+v", r)
	}
	opt.Admin = "nobody"
	if _, err := Activation(t.Context(), target, opt, func(string) {}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a token that may not invite: %v", err)
	}
}

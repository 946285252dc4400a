package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestReminders_SurviveKills: the reminders of an event fall due while the process is killed and started again and again. Each of its people is told once.
func TestReminders_SurviveKills(t *testing.T) {
	t.Parallel()
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			s := b.site(t)
			data := ""
			for _, v := range s.env {
				if folder, ok := strings.CutPrefix(v, "WARD_DATA="); ok {
					data = folder
				}
			}
			p := s.start(t)
			f := s.fhir(t)
			const people = 60
			var who []string
			for n := range people {
				ref := fmt.Sprintf("Patient/r%d", n)
				who = append(who, fmt.Sprintf("%q", ref))
				f.want(t, 201, "PUT", "/"+ref, fmt.Sprintf(`{"resourceType":"Patient","id":"r%d"}`, n))
			}
			begins := time.Now().UTC().Add(3 * time.Second)
			calendar := newFHIR(strings.TrimSuffix(s.base, "/fhir")+"/calendar", s.token)
			t.Cleanup(calendar.client.CloseIdleConnections)
			calendar.want(t, 201, "POST", "/events", fmt.Sprintf(`{"organization":"Organization/1","subscribers":[%s],"title":"Drill","start":%q,"end":%q,"tz":"UTC","reminders":[0]}`,
				strings.Join(who, ","), begins.Format("2006-01-02T15:04:05"), begins.Add(time.Hour).Format("2006-01-02T15:04:05")))
			told := func() (list []string) {
				files, err := filepath.Glob(filepath.Join(data, "messages", "*", "*.json"))
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range files {
					var m struct{ To, Channel string }
					text, err := os.ReadFile(name) //nolint:gosec // of the test's own folder
					if err == nil {
						err = json.Unmarshal(text, &m)
					}
					if err != nil || m.Channel != "push" {
						t.Errorf("%v: %s", err, text)
					}
					list = append(list, m.To)
				}
				return list
			}
			for round := range 4 {
				// Until some were sent, and then a moment more.
				_ = p.await(time.Until(begins)+time.Duration(300+50*round)*time.Millisecond, func() bool { return len(told()) > 5*round })
				p.kill()
				p = s.start(t)
			}
			if err := p.await(90*time.Second, func() bool { return len(told()) >= people }); err != nil {
				t.Errorf("%d were told: %v", len(told()), err)
			}
			list := told()
			slices.Sort(list)
			if n := len(slices.Compact(slices.Clone(list))); n != people || len(list) != people {
				t.Errorf("%d messages to %d people, want %d", len(list), n, people)
			}
		})
	}
}

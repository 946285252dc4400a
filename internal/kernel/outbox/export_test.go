package outbox

import "time"

// SetLooks makes tenants idle sooner.
func (o *Outbox) SetLooks(looks ...time.Duration) { o.looks = looks }

// Hot is how many tenants are looked at.
func (o *Outbox) Hot() int {
	o.relays.mu.Lock()
	defer o.relays.mu.Unlock()
	n := 0
	for _, t := range o.relays.at {
		if t.begun {
			n++
		}
	}
	return n
}

var (
	Matches      = matches      //nolint:gochecknoglobals // a test's
	CheckSubject = checkSubject //nolint:gochecknoglobals // a test's
)

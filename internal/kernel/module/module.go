package module

import (
	"context"
	"io/fs"
	"net/http"
	"time"

	"ward/internal/base/scope"
)

// Module is what one domain brings to the product.
type Module struct {
	Name             string // the domain's folder and the prefix of its tables
	Migrations       fs.FS  // of the tenants' databases; nil when it keeps nothing there
	SystemMigrations fs.FS  // of the system database; nil when it keeps nothing there
	Routes           []Route
	Consumers        []Consumer
	Runners          []Runner
}

// Target is a part of the product that a process may run. Targets combine as bits.
type Target uint8

// The targets. Ops is on in every process: health, readiness and metrics, on a listener of their own.
const (
	Web Target = 1 << iota
	API
	Worker
	Ops

	All = Web | API | Worker | Ops
)

// Lane orders work when there is more than the machine can do. The zero Lane is none, which [Check] refuses.
type Lane uint8

// The lanes, most urgent first.
const (
	Urgent      Lane = iota + 1 // alerts, sign-in, code status
	Interactive                 // people waiting
	Background                  // bulk, export, analytics

	Lanes = int(Background)
)

// String is the lane's name in metrics and in `ward routes`.
func (l Lane) String() string {
	switch l {
	case Urgent:
		return "urgent"
	case Interactive:
		return "interactive"
	case Background:
		return "background"
	default:
		return "none"
	}
}

// Objective is what a route promises: the share of its requests, such as 0.95, that is answered within the latency.
type Objective struct {
	Percentile float64
	Latency    time.Duration
}

// DefaultBodyLimit is the most bytes of a request's body that a route takes when it does not say.
const DefaultBodyLimit = 16 << 20

// Route is one method and pattern of the HTTP surface.
type Route struct {
	Method     string // "GET" also answers HEAD
	Pattern    string // as for http.ServeMux, without method and host; "/t/{tenant}/..." runs in that tenant's scope
	Target     Target // Web, API or Ops
	Lane       Lane
	Permission string        // of the access table; "" only with Public
	Public     bool          // reachable without a token
	Basic      bool          // calendar programs come here with a calendar password, by HTTP Basic (RFC 7617), besides tokens and sessions
	BodyLimit  int64         // bytes; 0 is DefaultBodyLimit
	Timeout    time.Duration // for the whole answer; 0 is the lane's
	Objective  Objective
	Summary    string // one line for `ward routes`

	// Handler answers, or returns a fault before it wrote anything; the server turns it into an OperationOutcome under
	// /t/{tenant}/fhir and into a problem document elsewhere.
	Handler func(w http.ResponseWriter, r *http.Request) error
}

// Runner works in the background for as long as the process lives. When Run returns an error, or early, it is started
// again after a pause that doubles up to a minute. It returns soon after ctx ends.
type Runner struct {
	Name   string
	Target Target
	Run    func(ctx context.Context) error
}

// Event is a fact that a domain announced through the outbox.
type Event struct {
	ID      string // a consumer that sees it again does nothing
	Subject string // such as "records.changed"
	Tenant  scope.Tenant
	Time    time.Time // when it was committed
	Data    []byte    // JSON, without patient data: types and ids
}

// Consumer handles the events of a subject, in the scope of the event's tenant. It is called again after a growing
// pause when it fails, up to the outbox's limit, and then the event goes to the dead letters. It must be idempotent on Event.ID.
type Consumer struct {
	Name    string // durable: a renamed consumer starts anew
	Subject string // may end in ">" or hold "*", as in NATS
	Handle  func(ctx context.Context, e Event) error
}

package outbox

import (
	"context"
	"strconv"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
)

// Forget removes the messages of a tenant that is being destroyed from the stream.
//
// Errors: Unavailable when the bus can't be reached.
func (o *Outbox) Forget(ctx context.Context, t scope.Tenant) (err error) {
	defer fault.Op(&err, "outbox.Forget", t.ID)
	return o.deps.Bus.Purge(ctx, stream, subjectPrefix+strconv.Itoa(int(t.ID))+".>")
}

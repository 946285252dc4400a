package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"ward/internal/backend/db"
)

// CustomPlan begins the text of a statement that is to be planned for its values each time: where a generic plan would be much
// worse, because the values decide what is read first. SQLite sees a comment.
const CustomPlan = "/* plan: custom */"

// statement is a statement prepared on a connection.
type statement struct {
	name    string
	sql     string
	params  []uint32 // types
	fields  []uint32 // types of the answer's columns
	results []byte   // the end of a Bind: the answer's formats
	custom  bool
	runs    int64
	used    int64
}

// maxStatements bounds a connection's cache: some searches are texts that don't come again.
const maxStatements = 512

// planAgain says whether a statement is planned anew before this run.
func planAgain(runs int64) bool { return runs == 8 || runs == 64 || runs == 512 || runs == 4096 }

func (st *statement) described(m *pgproto3.RowDescription) {
	st.fields = make([]uint32, len(m.Fields))
	st.results = put16(nil, len(m.Fields))
	for i, f := range m.Fields {
		st.fields[i] = f.DataTypeOID
		if isBinary(f.DataTypeOID) {
			st.results = put16(st.results, formatBinary)
		} else {
			st.results = put16(st.results, formatText)
		}
	}
}

// prepare gives the statement for a text, from the cache where it is there; else it asks the server, in a round trip that also sends what is queued.
func (c *conn) prepare(ctx context.Context, sql string) (*statement, error) {
	c.count++
	st, ok := c.stmts[sql]
	if ok && !planAgain(st.runs) {
		st.runs++
		st.used = c.count
		return st, nil
	}
	fresh := &statement{sql: sql, used: c.count, runs: 1, custom: strings.HasPrefix(sql, CustomPlan), results: []byte{0, 0}}
	if ok {
		fresh.runs = st.runs + 1
		c.out = putClose(c.out, st.name)
		delete(c.stmts, sql)
	} else {
		if err := db.CheckStatement(sql); err != nil {
			return nil, err
		}
		if len(c.stmts) >= maxStatements {
			c.evict()
		}
	}
	c.names++
	fresh.name = "w" + strconv.FormatInt(c.names, 10)
	c.out = putParse(c.out, fresh.name, sql)
	if _, err := c.round(ctx, fresh, nil); err != nil {
		return nil, err
	}
	c.stmts[sql] = fresh
	return fresh, nil
}

// evict closes the half of the statements that was unused for longest. The server hears of it with the next round trip.
func (c *conn) evict() {
	var sum int64
	for _, st := range c.stmts {
		sum += st.used
	}
	mean := sum / int64(len(c.stmts))
	for sql, st := range c.stmts {
		if st.used <= mean {
			c.out = putClose(c.out, st.name)
			delete(c.stmts, sql)
		}
	}
}

// shaped gives the statement for a shape, whose text is made when it is seen first.
func (c *conn) shaped(ctx context.Context, verb byte, table string, names []string, cols []db.Column, text func() string) (*statement, error) {
	c.shape = db.Shape(c.shape[:0], verb, table, names, cols)
	sql, ok := c.shapes[string(c.shape)]
	if !ok {
		key := string(c.shape)
		if err := db.CheckName(table); err != nil {
			return nil, err
		}
		if err := db.CheckName(names...); err != nil {
			return nil, err
		}
		for _, col := range cols {
			if err := db.CheckName(col.Name); err != nil {
				return nil, err
			}
		}
		sql = text()
		c.shapes[key] = sql
	}
	return c.prepare(ctx, sql)
}

// prepareFixed prepares one of the driver's own statements.
func (c *conn) prepareFixed(ctx context.Context, name, sql string) (*statement, error) {
	st := &statement{name: name, sql: sql, results: []byte{0, 0}}
	c.out = putParse(c.out, name, sql)
	_, err := c.round(ctx, st, nil)
	return st, err
}

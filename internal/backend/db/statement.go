package db

import (
	"strings"

	"ward/internal/base/fault"
)

// CheckStatement refuses texts that would end or change the transaction, or the connection: those are the drivers'. For drivers, on a path that is
// taken once per text.
func CheckStatement(sql string) error {
	word := FirstWord(sql)
	switch word {
	case "BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PREPARE", "SET", "RESET", "DISCARD", "PRAGMA", "ATTACH", "DETACH", "VACUUM":
		return fault.Internal("db: %s is the driver's to say", word)
	default:
		return nil
	}
}

// FirstWord is the verb of a statement in upper case, after space and comments.
func FirstWord(sql string) string {
	sql = SkipBlank(sql)
	n := strings.IndexFunc(sql, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if n < 0 {
		n = len(sql)
	}
	return strings.ToUpper(sql[:n])
}

// SkipBlank is the text from its first statement on: without leading space, comments and empty statements.
func SkipBlank(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n;")
		end := ""
		switch {
		case strings.HasPrefix(sql, "--"):
			end = "\n"
		case strings.HasPrefix(sql, "/*"):
			end = "*/"
		default:
			return sql
		}
		_, sql, _ = strings.Cut(sql, end)
	}
}

package people_test

import (
	"strings"
	"testing"

	"ward/internal/base/fault"
)

func TestPasswords(t *testing.T) {
	onEach(t, func(h *house) {
		p := h.staff(make(chan int, 10))
		h.invite(p, "rosalind.franklin@example.org")
		who, err := p.ByEmail(h.ctx, "rosalind.franklin@example.org")
		if err != nil {
			h.Fatal(err)
		}
		for password, want := range map[string]bool{
			"five wild geese": true, "пять диких гусей": true, "a b c d e f": true, "🦢🦢🐎🦆🐓🦃🐦🦅": true, " leading and trailing ": true, "x'; DROP TABLE identity_person; --": true,
			strings.Repeat("ab c", 256): true, "Tr0ub4dor&3": true, "correcthorse": true,
			"": false, "short 7": false, "password": false, "PASSWORD": false, "Password1!": false, "p@ssw0rd2024": false, "12345678": false, "abcdefgh": false, "98765432": false,
			"aaaaaaaaaaaa": false, "abababababab": false, "qwertyuiop": false, "Football99": false, "sunshine!!": false,
			"rosalind1": false, "Franklin!": false, "northward": false, "ward1234": false,
			strings.Repeat("ab c", 257): false, "null\x00inside": false, "bad\xff utf-8 here": false,
		} {
			err := p.CheckPassword(h.ctx, who, password)
			if (err == nil) != want || (err != nil && !fault.Is(err, fault.CodeUnprocessable)) {
				h.Errorf("%.30q: %v", password, err)
			}
			if err != nil && len(password) > 3 && password != "password" && strings.Contains(err.Error(), password) {
				h.Errorf("the error tells the password: %v", err)
			}
		}
	})
}

package app

import (
	"testing"
)

func TestCriteria_AreByNameAndIdentifier(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "ada": 1, "ada lovelace": 1, "MRN7": 2, "a,b|c$d": 1, "one two three four five six": 0} {
		if got := criteria(text); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := criteria(`a,b|c$d\`)[0][0].Value; got != `a\,b\|c\$d\\` {
		t.Errorf("what was typed became an operator: %s", got)
	}
}

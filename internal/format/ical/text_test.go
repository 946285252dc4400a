package ical

import (
	"reflect"
	"strings"
	"testing"

	"ward/internal/base/fault"
)

const sample = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY;LANGUAGE=en;X-A=\"a:b;c\":Check\\, and a \r\n long\r\n\t line\\nwith two\r\n" +
	"DTSTART;TZID=Europe/London:20260103T090000\r\nBEGIN:VALARM\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func TestParse_UnfoldsAndUnescapes(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(strings.ReplaceAll(sample, "\r\n", "\n")))
	if err != nil {
		t.Fatal(err)
	}
	event := c.Components[0]
	if got := event.Text("SUMMARY"); got != "Check, and a long line\nwith two" {
		t.Errorf("%q", got)
	}
	p, _ := event.Get("SUMMARY")
	if p.Params["X-A"] != "a:b;c" || event.Components[0].Text("TRIGGER") != "-PT15M" {
		t.Errorf("%+v", p)
	}
	again, err := Parse(c.Append(nil))
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("%v: %s", err, c.Append(nil))
	}
}

func TestAppend_FoldsBetweenCharacters(t *testing.T) {
	t.Parallel()
	c := &Component{Name: "VCALENDAR"}
	c.Add("SUMMARY", Escape(strings.Repeat("ä€😀;", 40)))
	text := string(c.Append(nil))
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 75 || strings.ContainsRune(line, '\ufffd') {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
	again, err := Parse([]byte(text))
	if err != nil || again.Text("SUMMARY") != strings.Repeat("ä€😀;", 40) {
		t.Errorf("%v %v", err, again)
	}
}

func TestParse_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, says string }{
		{"", "BEGIN:VCALENDAR"},
		{"hello", "line 1 must be a name"},
		{"SUMMARY:x", "line 1 must be within"},
		{"BEGIN:VCALENDAR\n", "END:VCALENDAR"},
		{"BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2 ends a component"},
		{"BEGIN:VCALENDAR\nX;A:1\nEND:VCALENDAR", "line 2 must have parameters"},
		{"BEGIN:VCALENDAR\nX;A=\"1:2\nEND:VCALENDAR", "line 2 has a quotation mark"},
		{"BEGIN:VCALENDAR\nX;A=1\nEND:VCALENDAR", "line 2 must be a name"},
		{"BEGIN:VCALENDAR\nX:\xff\nEND:VCALENDAR", "UTF-8"},
		{strings.Repeat("BEGIN:VCALENDAR\n", 50), "within each other"},
		{"BEGIN:VCALENDAR\nX:" + strings.Repeat("a\n ", 300<<10), "longer than"},
		{"BEGIN:VCALENDAR\n" + strings.Repeat("X:1\n", 600_000), "one too many"},
	} {
		if _, err := Parse([]byte(c.text)); !fault.Is(err, fault.CodeInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.40q: %v, want it to say %q", c.text, err, c.says)
		}
	}
}

func TestTimezone_WritesClockChanges(t *testing.T) {
	t.Parallel()
	z, err := LoadZone("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	text := string(z.Timezone(int64(MakeCivil(2026, 1, 1, 0, 0, 0)), int64(MakeCivil(2027, 1, 1, 0, 0, 0))).Append(nil))
	for _, want := range []string{"TZID:Europe/London", "BEGIN:DAYLIGHT\r\nDTSTART:20260329T010000\r\nTZOFFSETFROM:+0000\r\nTZOFFSETTO:+0100", "DTSTART:20261025T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0000"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	for id, want := range map[string]string{"Europe/London": "Europe/London", "/freeassociation.sourceforge.net/America/New_York": "America/New_York", "/x/y/America/Argentina/Ushuaia": "America/Argentina/Ushuaia"} {
		if z, err := ZoneOf(id); err != nil || z.Name() != want {
			t.Errorf("%s: %v %v", id, z, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if _, err := Parse(c.Append(nil)); err != nil {
			t.Fatalf("%q was written as %q: %v", text, c.Append(nil), err)
		}
	})
}

package ical

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"ward/internal/base/fault"
)

// Component is a part of an iCalendar object between BEGIN and END (RFC 5545 §3.6), such as VEVENT.
type Component struct {
	Name       string // upper case
	Properties []Property
	Components []*Component
}

// Property is a content line (RFC 5545 §3.1).
type Property struct {
	Name   string            // upper case
	Params map[string]string // names in upper case; of several values the first
	Value  string            // as it stands there: see [Text] and [Escape]
}

// The limits of an iCalendar object.
const (
	maxLine       = 256 << 10 // bytes of an unfolded line
	maxLines      = 250_000
	maxDepth      = 6
	maxParameters = 32
)

// Get is the first property of a name.
func (c *Component) Get(name string) (Property, bool) {
	for _, p := range c.Properties {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// Text is the value of a property as text; empty when it is not there.
func (c *Component) Text(name string) string {
	p, _ := c.Get(name)
	return Unescape(p.Value)
}

// Add appends a property.
func (c *Component) Add(name, value string, params ...string) {
	p := Property{Name: name, Value: value}
	for i := 0; i+1 < len(params); i += 2 {
		if p.Params == nil {
			p.Params = map[string]string{}
		}
		p.Params[params[i]] = params[i+1]
	}
	c.Properties = append(c.Properties, p)
}

// Parse reads an iCalendar object: one VCALENDAR. Lines may end in CRLF or LF. It fails with Invalid, which names the line.
func Parse(data []byte) (*Component, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, fault.New(fault.CodeInvalid, "the calendar must be UTF-8 text")
	}
	p := parser{rest: data}
	root := &Component{}
	stack := []*Component{root}
	for {
		line, ok, err := p.line()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(line) == 0 {
			continue
		}
		property, err := p.property(line)
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		name := strings.ToUpper(property.Value)
		switch property.Name {
		case "BEGIN":
			if len(stack) > maxDepth {
				return nil, p.bad("has more than %d components within each other", maxDepth)
			}
			if len(stack) == 1 && (name != "VCALENDAR" || len(root.Components) > 0) {
				return nil, p.bad("must be within one BEGIN:VCALENDAR")
			}
			c := &Component{Name: name}
			top.Components = append(top.Components, c)
			stack = append(stack, c)
		case "END":
			if len(stack) == 1 || name != top.Name {
				return nil, p.bad("ends a component that is not the last one begun")
			}
			stack = stack[:len(stack)-1]
		default:
			if len(stack) == 1 {
				return nil, p.bad("must be within one BEGIN:VCALENDAR")
			}
			top.Properties = append(top.Properties, property)
		}
	}
	if len(stack) > 1 || len(root.Components) == 0 {
		return nil, fault.New(fault.CodeInvalid, "the calendar must begin with BEGIN:VCALENDAR and end with END:VCALENDAR")
	}
	return root.Components[0], nil
}

type parser struct {
	rest   []byte
	number int // of the last physical line, from 1
}

func (p *parser) bad(format string, args ...any) error {
	return fault.New(fault.CodeInvalid, "the calendar's line %d "+format, append([]any{p.number}, args...)...)
}

// physical is the next line as it stands there.
func (p *parser) physical() []byte {
	line, rest, _ := bytes.Cut(p.rest, []byte("\n"))
	p.rest = rest
	p.number++
	return bytes.TrimSuffix(line, []byte("\r"))
}

// line is the next line, unfolded (RFC 5545 §3.1).
func (p *parser) line() (line []byte, ok bool, err error) {
	if len(p.rest) == 0 {
		return nil, false, nil
	}
	line = p.physical()
	if folded := len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t'); folded {
		line = bytes.Clone(line)
		for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t') && len(line) <= maxLine {
			line = append(line, p.physical()[1:]...)
		}
	}
	if len(line) > maxLine {
		return nil, false, p.bad("is longer than %d bytes", maxLine)
	}
	if p.number > maxLines {
		return nil, false, p.bad("is one too many: a calendar may have %d", maxLines)
	}
	return line, true, nil
}

// property reads name, parameters and value.
func (p *parser) property(line []byte) (Property, error) {
	s := string(line)
	end := strings.IndexAny(s, ":;")
	if end <= 0 {
		return Property{}, p.bad("must be a name, a colon and a value")
	}
	out := Property{Name: strings.ToUpper(s[:end])}
	s = s[end:]
	for n := 0; s[0] == ';'; n++ {
		name, rest, ok := strings.Cut(s[1:], "=")
		if !ok || n >= maxParameters {
			return Property{}, p.bad("must have parameters of the form NAME=VALUE, %d at most", maxParameters)
		}
		value, after := "", 0
		if strings.HasPrefix(rest, `"`) {
			if after = strings.IndexByte(rest[1:], '"') + 2; after < 2 {
				return Property{}, p.bad("has a quotation mark that is not closed")
			}
			value = rest[1 : after-1]
			if next := strings.IndexAny(rest[after:], ":;"); next > 0 { // further values of a list
				after += next
			}
		} else if after = strings.IndexAny(rest, ":;"); after >= 0 {
			value, _, _ = strings.Cut(rest[:after], ",")
		}
		if after < 0 || after >= len(rest) {
			return Property{}, p.bad("must be a name, a colon and a value")
		}
		if out.Params == nil {
			out.Params = map[string]string{}
		}
		out.Params[strings.ToUpper(name)] = value
		s = rest[after:]
	}
	if s[0] != ':' {
		return Property{}, p.bad("must be a name, a colon and a value")
	}
	out.Value = s[1:]
	return out, nil
}

// Escape writes text as a value (RFC 5545 §3.3.11).
func Escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\r\n", `\n`, "\n", `\n`, "\r", `\n`).Replace(text)
}

// Unescape reads a value as text.
func Unescape(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, "\n", `\N`, "\n").Replace(value)
}

// Append writes the component with lines of at most 75 bytes, folded between characters (RFC 5545 §3.1).
func (c *Component) Append(b []byte) []byte {
	b = appendLine(b, "BEGIN:"+c.Name)
	for _, p := range c.Properties {
		var line strings.Builder
		line.WriteString(p.Name)
		for _, name := range sortedNames(p.Params) {
			value := strings.Map(func(r rune) rune {
				if r == '"' || r < ' ' {
					return -1
				}
				return r
			}, p.Params[name])
			if strings.ContainsAny(value, ":;,") {
				value = `"` + value + `"`
			}
			line.WriteString(";" + name + "=" + value)
		}
		b = appendLine(b, line.String()+":"+strings.NewReplacer("\r", "", "\n", "").Replace(p.Value))
	}
	for _, sub := range c.Components {
		b = sub.Append(b)
	}
	return appendLine(b, "END:"+c.Name)
}

func appendLine(b []byte, line string) []byte {
	room := 75
	for len(line) > room {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b = append(append(b, line[:cut]...), "\r\n "...)
		line, room = line[cut:], 74
	}
	return append(append(b, line...), "\r\n"...)
}

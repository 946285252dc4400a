package dav

import (
	"context"
	"net/url"
	"strings"

	"ward/internal/base/fault"
	"ward/internal/base/scope"
	"ward/internal/domain/calendar/events"
)

// kind is what is at a path. Kinds combine as bits.
type kind uint8

const (
	root kind = 1 << iota
	principal
	home
	calendar
	object

	collections = root | principal | home | calendar
	anything    = collections | object
)

// place is a path, and who looks at it.
type place struct {
	kind
	base       string // "/t/{tenant}/caldav/"
	account    string // of the principal
	who        scope.Principal
	subscriber string
	name       string // of an object
}

// find understands the path below the base. What is not the caller's own is not there.
func find(ctx context.Context, path string) (*place, error) {
	sc, _ := scope.From(ctx)
	p := &place{base: "/t/" + sc.Tenant.Slug + "/caldav/", who: sc.Principal}
	p.account = strings.ReplaceAll(strings.TrimPrefix(sc.Principal.ID, "user/"), "/", "-")
	return p, p.resolve(path)
}

func (p *place) resolve(path string) error {
	missing := fault.NotFound("there is nothing at this path")
	parts := strings.Split(strings.TrimSuffix(path, "/"), "/")
	switch {
	case path == "":
		p.kind = root
		return nil
	case len(parts) < 2 || parts[1] != p.account || parts[0] != "principals" && parts[0] != "calendars":
		return missing
	case parts[0] == "principals" && len(parts) == 2:
		p.kind = principal
	case parts[0] == "principals":
		return missing
	case len(parts) == 2:
		p.kind = home
	case len(parts) <= 4:
		typ, id, ok := strings.Cut(parts[2], "-")
		if !ok {
			return missing
		}
		p.kind, p.subscriber = calendar, typ+"/"+id
		if len(parts) == 4 {
			p.kind, p.name = object, parts[3]
		}
	default:
		return missing
	}
	return nil
}

func (p *place) principalPath() string { return p.base + "principals/" + p.account + "/" }
func (p *place) homePath() string      { return p.base + "calendars/" + p.account + "/" }

func (p *place) calendarPath(subscriber string) string {
	return p.homePath() + strings.Replace(subscriber, "/", "-", 1) + "/"
}

func (p *place) path() string {
	switch p.kind {
	case principal:
		return p.principalPath()
	case home:
		return p.homePath()
	case calendar:
		return p.calendarPath(p.subscriber)
	case object:
		return p.calendarPath(p.subscriber) + p.name
	default:
		return p.base
	}
}

// nameOf is the name of the object of this place's calendar that an href means; "" when it means none.
func (p *place) nameOf(href string) string {
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		return ""
	}
	name, ok := strings.CutPrefix(u.Path, p.calendarPath(p.subscriber))
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	return name
}

// subscribers are whose calendars are listed for the caller.
func (p *place) subscribers() (list []string) {
	if p.who.Person != "" {
		list = append(list, p.who.Person)
	}
	for _, id := range p.who.Patients {
		if s := "Patient/" + id; s != p.who.Person {
			list = append(list, s)
		}
	}
	return list
}

// title is what a calendar is called: no name of anybody, since programs show it where others look on.
func (p *place) title(c *events.Calendar) string {
	if c.Subscriber == p.who.Person {
		return "My calendar"
	}
	return c.Subscriber
}

// escape is a path as it stands in a URL.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

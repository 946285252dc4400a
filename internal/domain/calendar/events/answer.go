package events

import (
	"encoding/binary"
	"net/http"
	"strconv"

	"ward/internal/backend/cache"
	"ward/internal/kernel/access"
)

// Answers to the windows of a few named subscribers are kept as the bytes that were sent, for exactly as long as nothing has changed in
// those calendars and in whom callers see. Whether the caller may see the subscribers is asked each time; whoever does not see everybody in the
// window is answered anew.
const (
	keptSubscribers = 8
	keptQuery       = 600     // bytes
	keptAnswer      = 1 << 17 // bytes
)

// class is what an answer depends on besides the window: callers of one class are shown the same. private: the window has private events.
func (v *viewer) class(private bool) string {
	switch {
	case v.own:
		return "o"
	case v.Role == access.Admin || v.Role == access.System:
		return "a"
	case private:
		return "p" + v.Person
	}
	return "s"
}

func answerKey(b []byte, class, standpoint, query string) []byte {
	b = append(append(append(b[:0], "calendar/answer/"...), class...), 0)
	return append(append(append(b, standpoint...), 0), query...)
}

// again answers from what is kept, and says whether it did.
func (s *Service) again(w http.ResponseWriter, r *http.Request, v *viewer) (done bool, err error) {
	if s.deps.Cache == nil || len(r.URL.RawQuery) > keptQuery {
		return false, nil
	}
	standpoint, err := s.standpoint(r.Context(), v)
	if err != nil {
		return false, err
	}
	var buffer [keptQuery + 256]byte
	value, ok, err := s.deps.Cache.Get(r.Context(), answerKey(buffer[:], v.class(false), standpoint, r.URL.RawQuery))
	if err == nil && !ok && v.class(true) != v.class(false) {
		value, ok, err = s.deps.Cache.Get(r.Context(), answerKey(buffer[:], v.class(true), standpoint, r.URL.RawQuery))
	}
	if err != nil || !ok {
		return false, err
	}
	var room [keptSubscribers]string
	look := looked{subscribers: room[:0]}
	n, value := int(value[0]), value[1:]
	for range n {
		var subscriber string
		subscriber, value = nextText(value)
		look.subscribers = append(look.subscribers, subscriber)
	}
	look.query, value = nextText(value)
	look.days, value = nextText(value)
	tag, body := nextText(value)
	if err := s.may(r.Context(), v, look.subscribers, false); err != nil {
		return false, err
	}
	if stop, err := s.begin(w, r, &look, tag); stop || err != nil {
		return true, err
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
	return true, nil
}

// keeping is the right to keep an answer, begun before what it shows is read; nil when it is not to be kept.
type keeping struct{ lease cache.Lease }

func (s *Service) keeping(r *http.Request, a *asked) (*keeping, error) {
	if s.deps.Cache == nil || a.cohort || len(a.subscribers) > keptSubscribers || len(r.URL.RawQuery) > keptQuery {
		return nil, nil
	}
	tags := make([]cache.Tag, len(a.subscribers), len(a.subscribers)+1)
	for i, subscriber := range a.subscribers {
		tags[i] = subscriberTag(subscriber)
	}
	lease, err := s.deps.Cache.Begin(r.Context(), append(tags, s.deps.SightTag)...)
	return &keeping{lease}, err
}

func (k *keeping) store(class, standpoint, query, tag string, look *looked, body []byte) {
	if len(body) > keptAnswer {
		return
	}
	value := make([]byte, 0, len(body)+64*len(look.subscribers)+128)
	value = append(value, byte(len(look.subscribers))) //nolint:gosec // 8 at most
	for _, subscriber := range look.subscribers {
		value = appendText(value, subscriber)
	}
	value = appendText(appendText(appendText(value, look.query), look.days), tag)
	k.lease.Store(answerKey(make([]byte, 0, 256+len(query)), class, standpoint, query), append(value, body...))
}

// Texts of a kept answer have two bytes of length before them.
func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...) //nolint:gosec // shorter than a query
}

func nextText(b []byte) (string, []byte) {
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:]
}

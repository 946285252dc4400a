package archive

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// documents splits a text. Its first line decides: a whole document there means one document a line, unless nothing follows.
func documents(name string, in *bufio.Reader, most int64, visit func(Document) error) error {
	s := &splitter{name: name, in: in, most: most, line: 1}
	first, err := s.readLine()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	byLine := balanced(first) || strings.Contains(name, ".ndjson") || strings.Contains(name, ".jsonl")
	if !byLine {
		return s.whole(first, errors.Is(err, io.EOF), visit)
	}
	for body, ended := first, errors.Is(err, io.EOF); ; {
		if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 {
			if err := visit(Document{Name: name, Line: s.line, Body: trimmed}); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		s.line++
		if body, err = s.readLine(); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		ended = errors.Is(err, io.EOF)
	}
}

type splitter struct {
	name string
	in   *bufio.Reader
	most int64
	line int
}

// readLine is the next line with its end, in memory of its own; io.EOF with the last one.
func (s *splitter) readLine() ([]byte, error) {
	var line []byte
	for {
		part, err := s.in.ReadSlice('\n')
		line = append(line, part...)
		if int64(len(line)) > s.most {
			return nil, tooLarge(s.name, s.line, s.most)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, unreadable(s.name, err)
		}
		return bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")), err
	}
}

// whole cuts documents that stand one after another, over any number of lines. What remains unbalanced is given out at
// the end.
func (s *splitter) whole(text []byte, ended bool, visit func(Document) error) error {
	var n nesting
	start, at := 0, 0 // of the document, and how far it has been looked at
	for {
		for ; at < len(text); at++ {
			if !n.step(text[at]) {
				continue
			}
			if err := s.emit(text[start:at+1], visit); err != nil {
				return err
			}
			start = at + 1
		}
		if ended {
			break
		}
		text = append(text[:0:0], text[start:]...)
		at, start = len(text), 0
		var err error
		if text, err = s.more(text); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		ended = errors.Is(err, io.EOF)
	}
	if rest := bytes.TrimSpace(text[start:]); len(rest) > 0 {
		return s.emit(text[start:], visit)
	}
	return nil
}

// more reads on, in steps that grow with the document so that it is not copied often.
func (s *splitter) more(text []byte) ([]byte, error) {
	step := max(64<<10, len(text))
	have := len(text)
	text = append(text, make([]byte, step)...)
	got, err := io.ReadFull(s.in, text[have:])
	text = text[:have+got]
	if int64(len(text)) > s.most+1 {
		return nil, tooLarge(s.name, s.line, s.most)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable(s.name, err)
	}
	return text, err
}

func (s *splitter) emit(text []byte, visit func(Document) error) error {
	body := bytes.TrimLeft(text, " \t\r\n")
	s.line += bytes.Count(text[:len(text)-len(body)], []byte("\n"))
	line := s.line
	s.line += bytes.Count(body, []byte("\n"))
	return visit(Document{Name: s.name, Line: line, Body: bytes.TrimRight(body, " \t\r\n")})
}

// nesting follows the brackets of a JSON text.
type nesting struct {
	depth            int
	quoted, escaping bool
}

// step takes a byte and says whether it ends a document.
func (n *nesting) step(c byte) bool {
	switch {
	case n.escaping:
		n.escaping = false
	case n.quoted:
		n.escaping, n.quoted = c == '\\', c != '"'
	case c == '"':
		n.quoted = true
	case c == '{' || c == '[':
		n.depth++
	case c == '}' || c == ']':
		n.depth--
		return n.depth <= 0
	}
	return false
}

// balanced says whether the line is one whole document.
func balanced(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	var n nesting
	for i, c := range line {
		if n.step(c) {
			return i == len(line)-1
		}
	}
	return false
}

package app

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one key of the configuration and its value.
type Setting struct {
	Key     string // in YAML, such as "http.listen"
	Flag    string // such as "http-listen"
	Env     string // such as "WARD_HTTP_LISTEN"
	Default string
	Unit    string // "" for a choice or yes/no
	Help    string
	Value   string // secrets masked

	secret string
	field  reflect.Value
}

// Settings lists every setting of the configuration in the order of the struct, secrets masked.
func (c *Config) Settings() []Setting {
	var out []Setting
	collect(&out, reflect.ValueOf(c).Elem(), "", "")
	return out
}

func collect(out *[]Setting, v reflect.Value, key, flag string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if prefix, ok := f.Tag.Lookup("prefix"); ok {
			collect(out, v.Field(i), key+strings.TrimSuffix(prefix, "-")+".", flag+prefix)
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = dashed(f.Name)
		}
		s := Setting{
			Key: key + name, Flag: flag + name, Env: "WARD_" + strings.ToUpper(strings.ReplaceAll(flag+name, "-", "_")),
			Default: f.Tag.Get("default"), Unit: f.Tag.Get("unit"), Help: f.Tag.Get("help"), secret: f.Tag.Get("secret"), field: v.Field(i),
		}
		s.Value = masked(s.secret, fmt.Sprint(v.Field(i).Interface()))
		*out = append(*out, s)
	}
}

// dashed is the flag's name of a field, as kong makes it: OpsListen is ops-listen, URL is url.
func dashed(name string) string {
	var b strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		next := i+1 < len(name) && name[i+1] >= 'a' && name[i+1] <= 'z'
		last := i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z'
		if upper && i > 0 && (last || next) {
			b.WriteByte('-')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// masked hides secrets: all of the value, or the password (and the user, which is a key in s3 URLs) of a URL.
func masked(secret, value string) string {
	if value == "" || secret == "" {
		return value
	}
	if secret == "all" {
		return "xxxxx"
	}
	parts := strings.Split(value, ",")
	for i, p := range parts {
		u, err := url.Parse(strings.TrimSpace(p))
		if err != nil {
			parts[i] = "xxxxx"
			continue
		}
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), "xxxxx")
		} else if u.User != nil && u.Scheme != "postgres" && u.Scheme != "postgresql" {
			u.User = url.User("xxxxx") // nats://TOKEN@host
		}
		q := u.Query()
		for name := range q {
			if lower := strings.ToLower(name); strings.Contains(lower, "password") || strings.Contains(lower, "secret") || strings.Contains(lower, "token") {
				q.Set(name, "xxxxx")
			}
		}
		if u.RawQuery != "" {
			u.RawQuery = q.Encode()
		}
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}

// check says why the text can't be the setting's value; "" when it can.
func (s *Setting) check(text string) string {
	v := reflect.New(s.field.Type())
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
		return ""
	}
	switch v.Interface().(type) {
	case *time.Duration:
		if d, err := time.ParseDuration(text); err != nil || d < 0 {
			return fmt.Sprintf("%q is no duration: write a number and a unit, such as 30s or 5m", text)
		}
	case *int:
		if n, err := strconv.Atoi(text); err != nil || n < 0 {
			return fmt.Sprintf("%q is no whole number of 0 or more", text)
		}
	case *float64:
		if _, err := strconv.ParseFloat(text, 64); err != nil {
			return fmt.Sprintf("%q is no number", text)
		}
	case *bool:
		if _, err := strconv.ParseBool(text); err != nil {
			return fmt.Sprintf("%q is neither true nor false", text)
		}
	}
	return ""
}

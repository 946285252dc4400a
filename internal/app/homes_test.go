package app

import "testing"

func TestMayHome(t *testing.T) {
	t.Parallel()
	c := Config{DB: DBConfig{Homes: "sqlite:/srv/tenants, postgres://db.example.org:5432"}}
	for home, want := range map[string]bool{
		"sqlite:/srv/tenants":                                     true,
		"sqlite:/srv/tenants/mary":                                true,
		"sqlite:/srv/tenants/../other":                            false,
		"sqlite:/srv/tenants-2":                                   false,
		"sqlite:srv/tenants":                                      false,
		"postgres://u:p@db.example.org:5432/mary":                 true,
		"postgres://u:p@DB.example.org:5432/mary?sslmode=require": true,
		"postgres://u:p@db.example.org:5432/mary?host=mine":       false,
		"postgres://u:p@db.example.org:5432/mary?service=mine":    false,
		"postgres://u:p@mine/mary":                                false,
		"postgres://u:p@db.example.org:5432,mine:5432/mary":       false,
		"postgres://db.example.org:5432@mine/mary":                false,
		"host=mine": false,
	} {
		if err := c.mayHome(home); (err == nil) != want {
			t.Errorf("%s: %v", home, err)
		}
	}
	if err := (&Config{}).mayHome("sqlite:/srv/tenants"); err == nil {
		t.Error("nothing is allowed by default")
	}
}

package file

// Failed is failed, for the test that has no full disk at hand.
var Failed = failed //nolint:gochecknoglobals // a test's

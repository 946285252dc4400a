// Package app puts the product together. It is the only place that knows everything: which modules there are (modules.go), which
// target starts what (targets.go), which URL means which driver (open.go), every setting (config.go), and the order in which all
// of it starts and stops (run.go).
package app

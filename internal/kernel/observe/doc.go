// Package observe tells operators what the program does: structured logs, metrics with native histograms, and traces.
//
// It promises that nothing about a patient gets out this way: logs and traces name a route by its pattern and never by its
// path or query, and metric labels come from small fixed sets (pattern, method, status class, lane), so that their number
// does not grow with tenants or data. Traces leave the process only when an OTLP endpoint is configured; exporting happens in
// the background and is dropped, not waited for, when the collector is slow or gone.
package observe

# Ward's commands. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED = 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
PACKAGES = $$(go list ./... | grep -v '^ward/e2e')

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/ward, one static binary
	@mkdir -p bin
	go build -ldflags '$(LDFLAGS)' -o bin/ward ./cmd/ward

.PHONY: run
run: build ## build, then the demo: embedded backends in ./data, 100 patients, a token and links
	@exec bin/ward demo

.PHONY: test
test: check build ## everything: format, linters, unit, conformance and e2e tests on embedded and real servers
	scripts/services run -- $(MAKE) --no-print-directory unit e2e

.PHONY: check
check: bin/tools/golangci-lint ## only formatting and linters
	@bin/tools/golangci-lint fmt --diff || { echo 'Not formatted: run make fmt.'; exit 1; }
	bin/tools/golangci-lint run

.PHONY: lint
lint: check ## the same as check

.PHONY: fmt
fmt: bin/tools/golangci-lint ## format the code
	bin/tools/golangci-lint fmt

# The two below use real servers where WARD_TEST_* name them (`scripts/services up DIR`, then `. DIR/env`).
.PHONY: unit
unit: ## unit and conformance tests; alone it uses the servers that WARD_TEST_* name
	go test -json -timeout 8m $(PACKAGES) | go run ./tools/report

.PHONY: e2e
e2e: build ## the built binary, driven from outside with real clients; alone it uses the servers that WARD_TEST_* name
	scripts/node-packages
	scripts/calendars
	WARD_TEST_BROWSER=$$(scripts/browser) WARD_BINARY=$(CURDIR)/bin/ward go test -json -count=1 -timeout 10m ./e2e/... | go run ./tools/report

.PHONY: race
race: ## unit tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -timeout 30m $(PACKAGES)

.PHONY: cover
cover: ## unit tests with coverage, summed up by package in bin/coverage.txt
	@mkdir -p bin
	go test -timeout 15m -coverpkg=./internal/... -coverprofile=bin/coverage.out $(PACKAGES)
	go tool cover -func=bin/coverage.out > bin/coverage.txt
	@tail -n 1 bin/coverage.txt

.PHONY: bench
bench: build ## Ward against the limits of this machine, embedded and on PostgreSQL; adds to bench/RESULTS.md
	bench/run

.PHONY: tools
tools: bin/tools/golangci-lint bin/tools/versitygw ## build the linter and the S3 server that tests use

.PHONY: clean
clean: ## remove what was built (data stays)
	rm -rf bin

# Each tool has a module of its own, so that its dependencies never meet Ward's.
bin/tools/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && go build -trimpath -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/tools/versitygw: tools/s3/go.mod tools/s3/go.sum
	cd tools/s3 && go build -trimpath -o ../../$@ github.com/versity/versitygw/cmd/versitygw

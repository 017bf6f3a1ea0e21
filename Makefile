# `make help` lists what there is to do.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# The settings that scripts/setup found or made: database, browser, Python, tools.
env = source bin/test-env

.PHONY: help
help: ## what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: setup fmt vet lint build test-race histories crashes guards conformance ## everything CI runs; installs what is missing (45 minutes at most)

.PHONY: test
test: ## the quick one: plain go test, nothing installed
	go test ./...

.PHONY: build
build: ## bin/cullet
	CGO_ENABLED=0 go build -trimpath -o bin/cullet ./cmd/cullet

.PHONY: demo
demo: ## a sample workspace on 127.0.0.1:7080
	go run ./cmd/cullet demo

.PHONY: soak
soak: setup ## long histories, crashes, fuzzing: hours
	@$(env) && scripts/soak

.PHONY: bench
bench: ## what docs/performance.md measures, against its peers: BENCH=flags (minutes)
	go run ./internal/bench all --images 20000 --runs 3 $(BENCH)

.PHONY: setup
setup: ## installs what the tests need (PostgreSQL, Chromium, Python packages, linters)
	@scripts/setup

.PHONY: fmt
fmt: ## fails if a file is not gofmt's
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: ## staticcheck and golangci-lint
	$(env) && "$$CULLET_TEST_TOOLS/staticcheck" ./...
	$(env) && "$$CULLET_TEST_TOOLS/golangci-lint" run ./...

.PHONY: test-race
test-race: ## Go tests with the race detector, on both databases and in the browser
	$(env) && CGO_ENABLED=1 go test -race -timeout 20m ./...

# Random histories of delete, restore, upload, train, hold, cleanup, crash, half of them by several clients at once, on
# each database. A failing one is shrunk, and says with which seed and file it is replayed. make histories HISTORIES=10000
HISTORIES ?= 300
.PHONY: histories
histories: ## random histories against the rules, on each database: HISTORIES=300 of them
	$(env) && shm=$$( [ -w /dev/shm ] && echo /dev/shm || echo /tmp ) && TMPDIR=$$shm CULLET_HISTORIES=$(HISTORIES) go test -count=1 -timeout 6h -v -run 'Histories|Lives' ./internal/purge | grep -v '=== '

# A line for each run: failpoint, database, process, what was done to it, how long it took, what was found.
.PHONY: crashes
crashes: ## kill -9 and a full disk at every failpoint, on each database
	$(env) && go test -tags failpoints -timeout 20m ./internal/failpoint
	$(env) && go test -tags failpoints -timeout 30m -parallel 6 -v -run Failpoints ./cmd/cullet | grep -vE '^(=== | *--- PASS: .*/)'

.PHONY: guards
guards: ## breaks the code that keeps each rule, one at a time, and sees a test that names the rule fail
	$(env) && go run ./internal/guards

# The official SDK and CLI against the real binary, on each database. Its last line is pytest's summary.
.PHONY: conformance
conformance: build ## the official SDK and CLI, on SQLite and on PostgreSQL
	$(env) && "$$CULLET_TEST_PYTHON" -m pytest conformance --cullet-binary bin/cullet
	$(env) && "$$CULLET_TEST_PYTHON" -m pytest conformance --cullet-binary bin/cullet --database-url "$$CULLET_TEST_POSTGRES"

.PHONY: clean
clean: ## removes bin/
	rm -rf bin

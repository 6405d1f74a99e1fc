# Commands for people. `make` lists them; README.md explains the first two.

GO ?= go
BIN := bin/campaignd
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
DATE := $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
TOOL := $(GO) tool -modfile=tools.mod
FUZZTIME ?= 1s
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build generate package package-check demo picture demo-cluster demo-whatsapp run test test-crash test-cluster test-browser e2e e2e-sftp e2e-hostile race fuzz check fmt vet lint cover bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/campaignd
	@mkdir -p bin
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/campaignd

generate: ## renew generated tables, after an update of the phone numbers' metadata
	$(GO) generate ./...

package: ## build .deb and .rpm for amd64 and arm64 in dist/, reproducibly
	sh packaging/build.sh "$(GO)"

package-check: ## build a package twice and compare the bytes
	sh packaging/twice.sh "$(GO)"

demo: build ## show what is special, on a daemon of its own in var/demo (less than a minute)
	@sh test/demo.sh $(BIN)

picture: build ## make docs/dashboard.png, the picture of README, with Chromium during the demo
	@DEMO_PICTURE=docs/dashboard.png sh test/demo.sh $(BIN) </dev/null

demo-cluster: build ## three NATS servers, a hub, a standby and three workers, a kill of each, and the accounts (a minute)
	$(GO) build -o bin/nats-server github.com/nats-io/nats-server/v2
	@sh test/demo-cluster.sh $(BIN) bin/nats-server

demo-whatsapp: build ## the demo over WhatsApp, with a strict fake of Meta's API
	@$(GO) build -trimpath -o bin/graphfake ./test/graphfake
	@sh test/demo-whatsapp.sh $(BIN) bin/graphfake

run: build ## run the daemon on configs/campaignd.toml until Ctrl-C, and show how to log in to its dashboard
	@(for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; $(BIN) dashboard 2>/dev/null && break; done) & exec $(BIN) run

test: ## run all tests, four packages at a time, since the longest ones mostly wait
	$(GO) test -p 4 ./...

test-crash: ## run the full crash suite: kills, faults and, as root, power cuts (about ten minutes)
	$(GO) test -count=1 -tags failpoints ./internal/failpoint
	CAMPAIGND_CRASH=full $(GO) test -count=1 -timeout 40m -parallel 12 -v ./test/crash

test-cluster: ## kill and freeze a hub, workers and NATS, CLUSTER_ROUNDS (10) times each
	CLUSTER_ROUNDS=$${CLUSTER_ROUNDS:-10} $(GO) test -count=1 -parallel 6 -timeout 120m -v ./test/cluster

test-browser: build ## test the dashboard in a real Chromium; screenshots in var/screenshots
	@mkdir -p var
	@sh test/browser/run.sh $(BIN) "$(GO)"

e2e: ## test real clients against a real sshd, and the .deb in a container with a real systemd (root)
	@sh test/e2e/run.sh "$(GO)"

e2e-hostile: ## let one partner fill an inbox with all that costs work, in full size (root, 30 GB), and write the figures to docs/security.md
	@CAMPAIGND_HOSTILE=full CAMPAIGND_HOSTILE_OUT=$(CURDIR)/docs/security.md CAMPAIGND_E2E_TIMEOUT=60m sh test/e2e/run.sh "$(GO)" hostile

e2e-sftp: ## run only the part of e2e with sshd
	@sh test/e2e/run.sh "$(GO)" sftp

race: ## run all tests with the race detector, in shuffled order (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 30m ./...

fuzz: ## run every fuzz target for FUZZTIME (1s)
	@sh test/fuzz.sh "$(GO)" $(FUZZTIME)

fmt:
	@out=$$(gofmt -l cmd internal test); test -z "$$out" || { echo "not formatted: $$out"; exit 1; }

vet: # also what only a suite of its own builds
	$(GO) vet ./...
	$(GO) vet -tags browser,e2e,failpoints,unrecorded ./...

lint: ## run staticcheck
	$(TOOL) staticcheck ./...

check: generate fmt vet lint build race fuzz demo ## what CI runs
	@git diff --exit-code || { echo "the check changed files: commit them"; exit 1; }

cover: ## print the line coverage over internal/
	@mkdir -p var
	$(GO) test -coverpkg=./internal/... -coverprofile=var/coverage.out ./... >/dev/null
	@$(GO) tool cover -func=var/coverage.out | tail -1

bench: build ## measure against references in the same run (ROWS=1000000)
	$(GO) build -trimpath -tags unrecorded -o bin/campaignd-unrecorded ./cmd/campaignd
	$(GO) run ./test/bench -bin $(BIN) -unrecorded bin/campaignd-unrecorded -rows $(or $(ROWS),1000000) -out docs/performance.md -plot docs/performance.svg
	$(GO) test -run "^$$" -bench . -benchtime 200ms ./internal/...

.PHONY: count
count: ## count the lines of Go without comments, blank lines and tests
	@git ls-files 'cmd/*.go' 'internal/*.go' | grep -vE '_test\.go$$|/(channeltest|sendtest|graphfake)/' | \
		xargs cat | grep -vcE '^[[:space:]]*(//|$$)'

clean: ## remove build results and the demo's state
	rm -rf bin var inbox/accepted inbox/done inbox/failed

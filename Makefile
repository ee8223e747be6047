# Everything a developer or a CI does here, by name. Needs Go and make; a C
# compiler only for the race detector, which the tests do without if they must.

.DEFAULT_GOAL := help
.NOTPARALLEL: # the order of check is part of it: cheap first, tests last

MODULES  := . examples
PACKAGES := ./actor ./bucket ./loader ./supervisor ./dump ./dump/dumptest ./dump/cmd/dwdump
SMALL    := $(filter-out regions bench cluster,$(patsubst examples/%/main.go,%,$(wildcard examples/*/main.go)))
FUZZTIME ?= 30s

# The linter is pinned in a module of its own, so that its dependencies are
# nobody else's. Go builds it on first use and keeps it in its cache.
LINT := go tool -modfile="$(CURDIR)/.ci/tools/go.mod" golangci-lint

# $(call each,command) runs the command in every module of the repository.
each = for module in $(MODULES); do (cd $$module && $(1)) || exit 1; done

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## The main example: the regions of the world, from SQLite, through a crash
	@cd examples && go run ./regions $(ARGS)

.PHONY: examples
examples: ## Every small example, one after the other
	@for name in $(SMALL); do \
		printf '\n== examples/%s ==\n\n' $$name; \
		(cd examples && go run ./$$name) || exit 1; \
	done

.PHONY: cluster
cluster: ## Three processes with one bucket, of which the owner is killed; by themselves, and over an etcd
	@cd examples && if [ -n "$(ARGS)" ]; then go run ./cluster $(ARGS); else \
		printf '\n== by themselves ==\n\n' && go run ./cluster && \
		printf '\n== over an etcd ==\n\n' && go run ./cluster -etcd embedded; fi

# A failing module does not hide the next one's result.
.PHONY: test
test: ## All tests, with the race detector where there is a C compiler
	@race=-race; \
	go build -race runtime/cgo 2>/dev/null || { \
		race=; \
		echo "note: no race detector here (it needs cgo and a C compiler); testing without it"; \
	}; \
	failed=0; \
	for module in $(MODULES); do \
		(cd $$module && echo "== $$(go list -m) ==" && go test $$race -count=1 ./...) || failed=1; \
	done; \
	if [ -n "$$race" ]; then \
		echo "== between members: protoactor's remote and cluster have races of their own, so without the race detector =="; \
		go test -count=1 -parallel 4 ./actor/cluster || failed=1; \
		(cd examples && go test -count=1 ./cluster/...) || failed=1; \
	fi; \
	exit $$failed

.PHONY: large
large: ## What is tested with a million entries, and would take too long with the race detector
	@go test -count=1 -run '^TestReaders_of_a_large_bucket|^TestWatch_by_a_thousand' ./bucket

.PHONY: check
check: fmt-check vet lint deps portable test large ## What CI runs, exactly; changes no file

.PHONY: fmt
fmt: ## Format every file
	@$(LINT) fmt

.PHONY: fmt-check
fmt-check: ## Say what fmt would change; changes no file
	@$(LINT) fmt --diff

.PHONY: vet
vet: ## go vet
	@$(call each,go vet ./...)

.PHONY: lint
lint: ## golangci-lint, as .golangci.yml has it
	@$(call each,$(LINT) run ./...)

.PHONY: tidy
tidy: ## go mod tidy, in every module
	@$(call each,go mod tidy)

.PHONY: deps
deps: ## No test package may reach users, and no transport those of the core; go.mod and go.sum are tidy
	@deps=$$(go list -deps $(PACKAGES)) || exit 1; \
	if echo "$$deps" | grep -E '^testing$$|testify|goleak|porcupine|rapid'; then \
		echo "the packages above reach users, and are for tests only"; exit 1; \
	fi
	@if go list -deps $(PACKAGES) | grep -E '^google.golang.org/grpc|protoactor-go/(remote|cluster)'; then \
		echo "the packages above are for those who use actor/cluster, and for nobody else"; exit 1; \
	fi
	@$(call each,go mod tidy -diff)

.PHONY: proto
proto: ## Generate what crosses the border between members from its .proto file
	@go tool -modfile=.ci/proto/go.mod buf generate --template .ci/proto/buf.gen.yaml --path actor/cluster/internal/wire

# A processor of 32 bits is the other kind that everybody with Linux on amd64 has.
.PHONY: portable
portable: ## Dump files on a processor of 32 bits; go vet for other systems
	@test "$$(go env GOOS)/$$(go env GOARCH)" != linux/amd64 || \
		GOARCH=386 CGO_ENABLED=0 go test -count=1 -run 'Golden|Layout' ./dump
	@for system in darwin windows; do \
		CGO_ENABLED=0 GOOS=$$system go vet $(PACKAGES) || exit 1; \
	done

.PHONY: torture
torture: ## The long proofs: kills, cuts, flips, faults and power cuts by the thousand; refreshes against a model; clusters
	@DATAWORKER_TORTURE=1 go test -count=1 -timeout 12h ./dump ./bucket
	@cd examples && DATAWORKER_TORTURE=1 go test -count=1 -v -timeout 1h ./cluster/chaos

.PHONY: cover
cover: ## How much of the core its tests run; details in cover.out
	@go test -count=1 -coverpkg=./... -coverprofile=cover.out ./...
	@go tool cover -func=cover.out | tail -n 1

.PHONY: fuzz
fuzz: ## Every fuzz test in turn, FUZZTIME (30s) each
	@listed=$$(go test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ { name[++n] = $$1 } \
		/^ok/ { for (i = 1; i <= n; i++) print $$2, name[i]; n = 0 }' | \
	while read -r package name; do \
		echo "== $$package $$name =="; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$package </dev/null || exit 1; \
	done

.PHONY: bench
bench: ## Every benchmark of the core
	@go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-peers
bench-peers: ## DataWorker and its peers side by side; writes examples/bench/peers.txt and peers.svg
	@cd examples && go run ./bench $(ARGS)

.PHONY: bench-check
bench-check: ## The figures that DataWorker promises against a map and its peers; fails past one
	@cd examples && go run ./bench -check $(ARGS)

.PHONY: clean
clean: ## Remove what the other targets left here
	@rm -rf .bin cover.out

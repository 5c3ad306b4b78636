# Edgehold. `make demo` shows the main job; `make test` installs what the tests need and runs them all.

GO      ?= go
FUZZTIME ?= 10s
BIN     := bin
export GOFLAGS += -trimpath
export CGO_ENABLED ?= 0

.PHONY: build demo test check unit lint bench fuzz race kernel packages toolchains registry clean

build: ## the programs, into bin/
	$(GO) build -ldflags "-s -w" -o $(BIN)/ ./cmd/edgehold ./cmd/edgeholdd ./cmd/edgehold-plugin ./cmd/edgehold-device

registry: ## an OCI registry to try things with, into bin/
	cd tools/registry && $(GO) build -ldflags "-s -w" -o ../../$(BIN)/registry .

demo: build ## start the daemon, upload a policy, watch it turn a knob, ask why, break it
	@$(GO) run ./cmd/internal/demo -bin $(BIN)

test: packages toolchains check race kernel ## everything, after installing what is missing

check: lint unit ## format, vet, lint, import rules, unit tests

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "run gofmt on:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) mod tidy -diff
	$(GO) mod verify
	$(GO) vet ./...
	cd tools && $(GO) build -o ../$(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck
	$(BIN)/staticcheck ./...
	cd tools/registry && $(GO) vet .

# The time of a package is for one that hangs. On two processors the slowest takes seven minutes with the race detector, and several
# times as long where others have work to do.
unit:
	$(GO) test -short -timeout 30m ./...

race: ## every test but the real kernels, with the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 60m $$($(GO) list ./... | grep -v '/e2e/kernel$$')

kernel: ## the daemon on real kernels under qemu
	$(GO) test -timeout 30m -count=1 ./cmd/internal/e2e/kernel/...

bench: build ## ours beside theirs, in one run
	$(GO) run ./cmd/internal/bench

# A run whose time is up in the middle of an input ends with "context deadline exceeded" now and then. What is really
# found fails again, since its input is kept.
fuzz: ## every fuzz target for FUZZTIME
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -short -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "== $$p $$f"; \
	    try="$(GO) test -short -run ^$$ -fuzz ^$$f$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$p"; \
	    $$try || $$try || exit 1; \
	  done; \
	done

packages: ## the Debian packages that the tests use
	@cmd/internal/e2e/install-packages

toolchains: ## the compilers of the languages that policies are written in
	@cmd/internal/e2e/install-toolchains

clean:
	rm -rf $(BIN) .cache

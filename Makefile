# Two commands: `make start` for a running cluster, `make test` for the tests.
CARGO ?= cargo
OFM := target/release/ofm
# A cluster is made of namespaces, which takes root.
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help deps build start stop test test-vm

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

deps: ## Install the programs that are missing to run ofm
	@scripts/install-deps

build: ## Build ofm (target/release/ofm)
	$(CARGO) build --release --package ofm-cli

start: deps build ## Start the default cluster, show it, and ping between VMs on two chassis
	@if shown=$$($(SUDO) $(OFM) status 2>/dev/null) && [ -n "$$shown" ]; then \
		echo 'A cluster is running already (make stop ends it):'; \
	else \
		echo '$(strip $(SUDO) $(OFM) start)'; $(SUDO) $(OFM) start; \
	fi
	$(SUDO) $(OFM) status
	$(SUDO) $(OFM) exec ovn-chassis-1 -- ip netns exec sw01p1 ping -c 3 21.0.0.3

stop: ## Stop the default cluster
	@test -x $(OFM) || { echo 'error: $(OFM) is not built, so make start has not run here' >&2; exit 1; }
	$(SUDO) $(OFM) stop

test: ## Build everything and run all tests
	@scripts/install-deps --tests
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace

test-vm: ## Run the tests on the kernel's datapath, in a virtual machine whose kernel has it
	@scripts/install-deps --vm
	CARGO='$(CARGO)' scripts/test-vm

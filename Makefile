# Two commands matter: `make up` runs Covigil on this machine, `make test` runs all of its tests.
# Both install what is missing, and say what and why.

TARGET ?= $(if $(CI),$(HOME)/.cache/covigil/target,$(CURDIR)/target)
export CARGO_TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(TARGET))

.PHONY: up build test check fmt clean-data help

help:
	@sed -n 's/^# make /  make /p' Makefile

# make up          build (once) and start Covigil on this machine; ARGS="--data DIR" puts its data elsewhere
up: build
	@exec $(CARGO_TARGET_DIR)/release/covigil up $(ARGS)

# make build       build the release binary
build:
	@scripts/setup build
	cargo build --release --package covigil-cli

# make test        install what the tests need, check the house rules, and run every test
test:
	@scripts/setup test
	@scripts/test

# make check       what to run before each commit: format, lints, house rules
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo xtask tidy

fmt:
	cargo fmt --all

# The entry points. Each does its own set-up; what is done already costs a second.
BUILD ?= build
JOBS ?= $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench experiment experiments format lint

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## Install what building and running needs (Debian packages, LibTorch, the default model)
	@setup/prepare.sh run

build: setup ## Build the program: build/tidegauge
	@setup/configure.sh $(BUILD)
	@cmake --build $(BUILD) -j $(JOBS) --target tidegauge

demo: build ## Record, analyse and sweep the default model into out/demo
	@experiments/demo/run.sh

test: ## Build and run every test
	@setup/prepare.sh run test
	@setup/configure.sh $(BUILD) -DTIDEGAUGE_TESTS=ON
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure

bench: ## Measure decoding, prefill, forks, recording, offloading and kernels beside peers into results/bench/MACHINE
	@setup/prepare.sh run test bench
	@setup/configure.sh $(BUILD)
	@cmake --build $(BUILD) -j $(JOBS) --target tidegauge
	@TIDEGAUGE=$(abspath $(BUILD))/tidegauge experiments/bench/run.sh $(MACHINE)

experiment: build ## Run one experiment of a paper, NAME=quest-passkey, into out/papers (ARGS='model=FOLDER ...')
	@experiments/$(if $(NAME),$(NAME),NAME)/run.sh $(ARGS)

experiments: build ## Run all of them, one after the other: two hours on 2 cores; interrupted, it goes on where it stopped
	@set -e; for published in experiments/*/published.toml; do "$${published%/*}/run.sh" $(ARGS); done

format: ## Lay out the C++ sources with clang-format
	@setup/prepare.sh style
	@git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i

lint: ## Check layout, shell scripts and, with clang-tidy, the C++ sources
	@setup/prepare.sh run test style
	@setup/configure.sh $(BUILD) -DTIDEGAUGE_TESTS=ON
	@setup/lint.sh $(BUILD)

# Everything a fresh Debian machine with Swift 6.3 needs is installed by `make deps`, which every target that builds runs first.
PACKAGES := libhdf5-dev libzstd-dev libxxhash-dev libdnnl-dev zlib1g-dev libssl-dev pkg-config
SWIFT ?= swift
DEMO := demo-output
INGOT := .build/release/ingot
FUZZ_COUNT ?= 100000
FUZZ_SEED ?= 1
FUZZ_SECONDS ?= 60
# Each with the folder of sound files that it starts from.
FUZZ_PARSERS := json:fuzz/json npy:containers zip:containers graph:golden/graphs ingot:fuzz/ingot safetensors:safetensors pytorch:pytorch
CHECKS := --explicit-target-dependency-import-check error
# Python environments of `make fixtures` and `make interop`; made where they are missing.
KERAS2_ENV ?= .build/keras2-env
KERAS3_ENV ?= .build/keras3-env
TRANSFORMERS5_ENV ?= .build/transformers5-env
TRANSFORMERS4_ENV ?= .build/transformers4-env

# Workloads timed; BENCH_PEERS names Pythons with what Fixtures/generate/requirements-bench.txt lists, which take turns with ours:
# `make bench BENCH_PEERS="python3"`. BENCH_WEIGHTS is a file of trained weights to compress.
BENCH_PEERS ?=
BENCH_WEIGHTS ?=
BENCH_OPTIONS ?=

.PHONY: bench demo test build lint format fixtures fixtures-keras fixtures-transformers interop interop-keras interop-transformers fuzz deps clean

demo: build
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@echo "# A Keras 2 LSTM that Keras 3 refuses to open"
	$(INGOT) inspect Fixtures/demo/sentiment.h5
	@echo; echo "# A forward pass, held against what Keras gave"
	$(INGOT) run Fixtures/demo/sentiment.h5 --inputs Fixtures/demo/sentiment.inputs.npz --output $(DEMO)/out.npz
	$(INGOT) verify Fixtures/demo/sentiment.h5 --inputs Fixtures/demo/sentiment.inputs.npz --expect Fixtures/demo/sentiment.outputs.npz
	@echo; echo "# Converted, and proven before the output is put in place"
	$(INGOT) convert Fixtures/demo/sentiment.h5 $(DEMO)/sentiment.ingot
	$(INGOT) convert Fixtures/demo/sentiment.h5 $(DEMO)/sentiment.keras
	@echo; echo "# Verified again: by the proof inside, and against the original"
	$(INGOT) verify $(DEMO)/sentiment.ingot
	$(INGOT) verify Fixtures/demo/sentiment.h5 $(DEMO)/sentiment.keras

# A scratch folder of its own: building and testing take different flags and would rebuild each other's work.
test: deps
	$(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-test

build: deps
	$(SWIFT) build -c release $(CHECKS)

lint:
	$(SWIFT) format lint --strict --recursive Sources Formats Tests Package.swift

format:
	$(SWIFT) format --in-place --recursive Sources Formats Tests Package.swift

# Files damaged at random and read in processes of their own, then libFuzzer on the parsers that are ours, which starts from Fixtures/fuzz.
fuzz: deps
	$(SWIFT) build -c release --product ingot-fuzz
	rm -rf .build/fuzz && mkdir -p .build/fuzz
	.build/release/ingot-fuzz --count $(FUZZ_COUNT) --seed $(FUZZ_SEED) --save .build/fuzz \
	  Fixtures/hdf5/*.h5 Fixtures/keras2/*.h5 Fixtures/keras3/*.h5 Fixtures/keras2/*.keras Fixtures/keras3/*.keras Fixtures/fuzz/ingot/*
	INGOT_FUZZ=1 $(SWIFT) build -c release --product ingot-fuzz-parsers --scratch-path .build-fuzz -Xswiftc -sanitize=fuzzer
	for pair in $(FUZZ_PARSERS); do parser=$${pair%%:*}; mkdir -p .build/fuzz/$$parser; \
	  FUZZ_PARSER=$$parser .build-fuzz/release/ingot-fuzz-parsers -max_total_time=$(FUZZ_SECONDS) -timeout=2 -rss_limit_mb=1024 -max_len=65536 \
	    -print_final_stats=1 -artifact_prefix=.build/fuzz/$$parser- .build/fuzz/$$parser Fixtures/$${pair##*:} || exit 1; done

# Debian packages that are missing, installed as root or through sudo, and named before they are.
deps:
	@missing=""; for p in $(PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  echo "installing Debian packages:$$missing"; \
	  sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

$(KERAS2_ENV)/bin/python:
	python3 -m venv $(KERAS2_ENV) && $(KERAS2_ENV)/bin/pip install -q -r Fixtures/generate/requirements-keras2.txt

$(KERAS3_ENV)/bin/python:
	python3 -m venv $(KERAS3_ENV) && $(KERAS3_ENV)/bin/pip install -q -r Fixtures/generate/requirements-keras3.txt

$(TRANSFORMERS5_ENV)/bin/python:
	python3 -m venv $(TRANSFORMERS5_ENV) && $(TRANSFORMERS5_ENV)/bin/pip install -q -r Fixtures/generate/requirements-transformers5.txt

$(TRANSFORMERS4_ENV)/bin/python:
	python3 -m venv $(TRANSFORMERS4_ENV) && $(TRANSFORMERS4_ENV)/bin/pip install -q -r Fixtures/generate/requirements-transformers4.txt

# Writes all fixtures again with the pinned frameworks.
fixtures: fixtures-keras fixtures-transformers

fixtures-keras: $(KERAS2_ENV)/bin/python $(KERAS3_ENV)/bin/python
	cd Fixtures/generate && $(abspath $(KERAS2_ENV))/bin/python keras2.py && $(abspath $(KERAS2_ENV))/bin/python demo.py \
	  && $(abspath $(KERAS2_ENV))/bin/python keras1.py && $(abspath $(KERAS2_ENV))/bin/python legacy.py \
	  && $(abspath $(KERAS3_ENV))/bin/python keras3.py \
	  && $(abspath $(KERAS3_ENV))/bin/python sharded.py \
	  && $(abspath $(KERAS3_ENV))/bin/python hdf5_storage.py && $(abspath $(KERAS3_ENV))/bin/python containers.py \
	  && $(abspath $(KERAS3_ENV))/bin/python invalid_hdf5.py

fixtures-transformers: $(TRANSFORMERS5_ENV)/bin/python $(TRANSFORMERS4_ENV)/bin/python
	cd Fixtures/generate && $(abspath $(TRANSFORMERS5_ENV))/bin/python transformers_pt.py && $(abspath $(TRANSFORMERS5_ENV))/bin/python pytorch_rnn.py \
	  && $(abspath $(TRANSFORMERS4_ENV))/bin/python transformers_pt.py && $(abspath $(TRANSFORMERS4_ENV))/bin/python transformers_tf.py \
	  && $(abspath $(TRANSFORMERS4_ENV))/bin/python transformers_tf_names.py \
	  && $(abspath $(TRANSFORMERS5_ENV))/bin/python sparse_transformer.py

# The pinned frameworks open what Ingot writes, and predict the same.
interop: interop-keras interop-transformers

interop-keras: build $(KERAS2_ENV)/bin/python $(KERAS3_ENV)/bin/python
	Fixtures/generate/interop.sh $(INGOT) $(KERAS2_ENV)/bin/python $(KERAS3_ENV)/bin/python

bench: build
	.build/release/ingot-bench compare $(foreach p,$(BENCH_PEERS),--peer $(p)) $(BENCH_OPTIONS)
	.build/release/ingot-bench files
	.build/release/ingot-bench codec $(BENCH_WEIGHTS) $(foreach p,$(firstword $(BENCH_PEERS)),--peer $(p))
	.build/release/ingot-bench growth
	.build/release/ingot-bench start

interop-transformers: build $(TRANSFORMERS5_ENV)/bin/python $(TRANSFORMERS4_ENV)/bin/python
	$(TRANSFORMERS5_ENV)/bin/python Fixtures/generate/transformers_interop.py $(INGOT) $(TRANSFORMERS5_ENV)/bin/python $(TRANSFORMERS4_ENV)/bin/python

clean:
	rm -rf .build .build-test .build-fuzz $(DEMO)

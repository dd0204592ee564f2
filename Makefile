# Everything here works on a fresh machine with Python 3.10 to 3.13, gcc, g++, cmake and make.
# PYTHON=/path/to/python3.x chooses the Python; ARGS="..." goes to the command or to pytest.

SHELL := /bin/bash
RUN := . .venv/env.sh &&
# One thread per library: on a busy machine two are slower than one.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Tests talk to this machine alone, and not to whatever else runs on it.
ISOLATED = ROS_DOMAIN_ID=$$((RANDOM % 100 + 1)) ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-train demo bench test test-jazzy fuzz soak lint mutate release-check site clean

help:
	@echo "make demo         people in a video -> 3D skeletons on ROS topics, a bag and out/demo.mp4"
	@echo "make test         all tests"
	@echo "make test-jazzy   the tests that meet ROS, on ROS 2 Jazzy (.venv-jazzy; wants Python 3.12)"
	@echo "make soak         a thousand life-cycle rounds of each node, Ctrl-C at hundreds of times"
	@echo "make fuzz         2,000 bad inputs to the commands, 12,000 bad messages to the nodes"
	@echo "make bench        how long each stage takes, per frame"
	@echo "make lint         ruff and mypy"
	@echo "make site         the documentation as web pages, in out/site"
	@echo "make release-check  sdist and wheel, and lift from the wheel in clean environments"
	@echo "make mutate       break the numeric code in small ways and see whether a test notices; ARGS=geometry.root for one file"
	@echo "make setup        .venv with ROS 2, the dependencies and the built package"
	@echo "make setup-train  the same, with PyTorch, to train and export models"
	@echo "make clean        remove .venv and caches"

setup:
	@PYTHON="$(PYTHON)" tools/setup.sh

setup-dev:
	@PYTHON="$(PYTHON)" tools/setup.sh dev

setup-train:
	@PYTHON="$(PYTHON)" tools/setup.sh training

demo: setup
	@$(RUN) $(ISOLATED) $(ONE_THREAD) diffpose_ros demo $(ARGS)

bench: setup-train
	@$(RUN) $(ONE_THREAD) diffpose_ros bench $(ARGS)

test: setup-dev
	@$(RUN) $(ISOLATED) $(ONE_THREAD) pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

# The rooms whose tests meet ROS; the others are the same on every ROS.
MEET_ROS := test/ros test/node test/launch test/package/test_messages.py \
    test/package/test_packaging.py test/demo test/media/test_bag.py test/cli/test_demo_with_ros.py

test-jazzy:
	@$(or $(PYTHON),$(shell command -v python3.12 || echo python3)) tools/setup_jazzy.py
	@. .venv-jazzy/env.sh && $(ISOLATED) $(ONE_THREAD) pytest -n 2 --dist loadfile $(MEET_ROS) $(ARGS)

soak: setup-dev
	@$(RUN) $(ISOLATED) $(ONE_THREAD) pytest -m soak $(ARGS)

SEED ?= 1

fuzz: setup-dev
	@$(RUN) $(ONE_THREAD) python test/fuzz/run_cli.py --count 2000 --seed $(SEED)
	@$(RUN) $(ISOLATED) $(ONE_THREAD) python test/fuzz/run_nodes.py --count 12000 --seed $(SEED)

lint: setup-dev
	@$(RUN) ruff check .
	@$(RUN) mypy

mutate: setup-dev
	@$(RUN) pip install --quiet --disable-pip-version-check -r requirements/mutation.txt
	@$(RUN) $(ONE_THREAD) python tools/mutation/run.py $(ARGS)

site: setup
	@$(RUN) pip install --quiet --disable-pip-version-check -r requirements/docs.txt
	@$(RUN) python tools/docs_pages.py
	@$(RUN) mkdocs build --strict

release-check:
	@$(or $(PYTHON),python3) tools/check_release.py $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The project's commands; `make` alone lists them. Each does the set-up it needs, and only what changed since.
SHELL := bash
STACK ?= local
export OFFLINE SUMMARY VERBOSE

.PHONY: help up preview preflight down test unit bench check format docs lock clean setup venv azurite pulumi

help:
	@echo "make up      [STACK=local]              set-up, then pulumi up; local: the local cloud and the first imports too"
	@echo "make preview [STACK=local] [OFFLINE=1]  what pulumi up would change; OFFLINE=1: dev or prod without credentials;"
	@echo "                                        SUMMARY=1: counts, and what opens, costs, keeps or loses data"
	@echo "make preflight STACK=dev                what would make up of a real stack fail: a line each, with the command that mends it"
	@echo "make down    [STACK=local]              pulumi destroy; local: stops the local cloud too"
	@echo "make test                               every test"
	@echo "make unit                               the unit tests: no engine, no local cloud, no matrix of settings"
	@echo "make bench                              measure the importer and a preview: tables, bench/*.json, docs/bench.svg"
	@echo "make check                              format, lint, types, import rules, generated docs, links"
	@echo "make format                             format the code, and fix what the linter can"
	@echo "make docs                               write docs/settings.md, docs/access.md and docs/types.md again"
	@echo "make lock                               resolve pyproject.toml into dev-requirements.txt and its two parts"
	@echo "make clean                              remove .venv, node_modules, .local and caches; not while the local cloud runs"
	@echo "More arguments for pulumi or pytest: ARGS='...'; all that pulumi says: make up VERBOSE=1"

up preview preflight down:
	@tools/stack.sh $@ "$(STACK)" $(ARGS)

test: setup
	@. tools/environment.sh && python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

unit: venv pulumi
	@. tools/environment.sh && python -m pytest tests/unit -m "not matrix" --numprocesses auto --dist worksteal $(ARGS)

bench: venv azurite pulumi
	@. tools/environment.sh && python -m bench && python -m bench.chart && python -m bench.preview

check: venv
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/python -m mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/python -m tools.settings_doc --check
	@.venv/bin/python -m tools.access_doc --check
	@.venv/bin/python -m tools.links
	@.venv/bin/python -m tools.types_doc --check

format: venv
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

docs: venv
	@.venv/bin/python -m tools.settings_doc
	@.venv/bin/python -m tools.access_doc
	@.venv/bin/python -m tools.types_doc

# Each lock's header has its command, which Renovate repeats: so only options that Renovate knows.
LOCK = .venv/bin/uv pip compile pyproject.toml --quiet --universal --python-version=3.11 --generate-hashes
lock: venv
	@$(LOCK) --group=program --group=importer --group=commands --group=localcloud --group=dev \
	    --output-file=dev-requirements.txt
	@$(LOCK) --group=program --group=importer --group=commands \
	    --constraint=dev-requirements.txt --output-file=requirements.txt
	@$(LOCK) --group=importer \
	    --constraint=dev-requirements.txt --output-file=importer/requirements.txt

clean:
	@tools/clean.sh

setup:
	@$(MAKE) -s -j3 venv azurite pulumi

venv: .venv/.installed
.venv/.installed: dev-requirements.txt
	@tools/venv.sh
	@touch $@

azurite: localcloud/node_modules/.installed
localcloud/node_modules/.installed: localcloud/package-lock.json
	@tools/azurite.sh
	@touch $@

pulumi:
	@"$$(tools/python.sh)" tools/pulumi/install.py >/dev/null

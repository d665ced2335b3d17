# Every task of the project; `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
REPOSITORY := build/repository
# The examples say the same on every machine: nothing of its settings and its architecture.
DHCP_CONFIG := $(VENV)/bin/xivo-provd dhcp-config --config build/dhcp/provd.toml --provd-address 192.0.2.10
KEA_LIBRARY := /usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so
# Debian's own versions of the libraries, as the package will use them.
DEBIAN_VENV := build/venv-debian
DEBIAN_PACKAGES := python3-gevent python3-bottle python3-jinja2 python3-httptools python3-sdnotify \
	python3-netifaces python3-pytest python3-hypothesis

.PHONY: help venv plugins run test test-debian lint types bench settings dhcp deb appliance clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(VENV)/installed  ## Make .venv/ with the program installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(VENV)/bin/pip install --quiet --editable ".[dev]"
	@touch $@

plugins: $(VENV)/installed  ## Build the official plugins into a local repository, build/repository
	@$(VENV)/bin/python plugins/builder.py $(REPOSITORY)

run: venv plugins  ## Run the server in the foreground on high ports, with all its state below var/
	@mkdir -p var/log
	@echo
	@echo "xivo-provd runs in this terminal until Ctrl-C: TFTP 6969, phones' HTTP 8667, admin 127.0.0.1:8666."
	@echo "State: $(CURDIR)/var (delete it to begin anew). Settings: etc/checkout.toml. Once it listens, try:"
	@echo "  curl -A 'Aastra6731i MAC:00-08-5D-23-74-29 V:3.3.1.4305-SIP' http://127.0.0.1:8667/Aastra/00085D237429.cfg"
	@echo "  curl tftp://127.0.0.1:6969/00085D237429.cfg   (or: tftp 127.0.0.1 6969 -m binary -c get 00085D237429.cfg)"
	@echo
	@exec $(VENV)/bin/xivo-provd --config etc/checkout.toml \
		--install-plugin xivo-aastra-3.3.1-SP2 --install-plugin xivo-aastra-3.2.2.1136

test: $(VENV)/installed-dev  ## Run the whole test suite
	$(VENV)/bin/python -m pytest

test-debian: $(DEBIAN_VENV)/installed  ## Run the whole test suite with Debian's own versions of the libraries
	$(DEBIAN_VENV)/bin/python -m pytest

$(DEBIAN_VENV)/installed: pyproject.toml
	@dpkg-query -W $(DEBIAN_PACKAGES) > /dev/null || \
		{ echo "first: apt install $(DEBIAN_PACKAGES)"; exit 1; }
	/usr/bin/python3 -m venv --clear --system-site-packages $(DEBIAN_VENV)
	$(DEBIAN_VENV)/bin/pip install --quiet --no-deps tftpy
	$(DEBIAN_VENV)/bin/pip install --quiet --no-deps --editable .
	@touch $@

lint: $(VENV)/installed-dev  ## Look for mistakes and bad style (ruff)
	$(VENV)/bin/ruff check .

types: $(VENV)/installed-dev  ## Check the type annotations (mypy)
	$(VENV)/bin/mypy --strict provd
	$(VENV)/bin/mypy --strict plugins/builder.py
	$(VENV)/bin/mypy --strict dhcp/xivo-provd-dhcp-hook

bench: $(VENV)/installed  ## Boot simulated phones against the server and its peers, and print what it costs
	$(VENV)/bin/python bench/run.py

settings: $(VENV)/installed  ## Write etc/provd.toml, the commented default settings, from the table of options
	$(VENV)/bin/python -c "from provd.settings import default_file_text; print(default_file_text(), end='')" > etc/provd.toml

dhcp: plugins  ## Write the examples in dhcp/: what dhcp-config prints for a server at 192.0.2.10
	@mkdir -p build/dhcp/plugins
	@printf '[general]\nplugin_server = "%s"\nstate_dir = "build/dhcp"\n' $(REPOSITORY) > build/dhcp/provd.toml
	$(DHCP_CONFIG) --server isc > dhcp/xivo-provd.isc.conf
	$(DHCP_CONFIG) --server kea --kea-library $(KEA_LIBRARY) > dhcp/xivo-provd.kea.json
	$(DHCP_CONFIG) --server dnsmasq > dhcp/xivo-provd.dnsmasq.conf

deb:  ## Build the Debian packages into build/deb (what it needs: apt build-dep ./)
	@rm -rf build/deb
	@mkdir -p build/deb/source
	@git ls-files -z --cached --others --exclude-standard --deduplicate | xargs -0 ls -d 2> /dev/null \
		| tar --create --files-from - | tar --extract --directory build/deb/source
	@# Debian's own Python, whatever else PATH holds.
	cd build/deb/source && PATH=/usr/sbin:/usr/bin:/sbin:/bin dpkg-buildpackage --no-sign > ../build.log 2>&1 \
		|| { tail -n 40 ../build.log; exit 1; }
	@rm -rf build/deb/source
	@ls build/deb/*.deb

appliance: $(VENV)/installed-dev  ## As root: install the packages in a booted Debian and test the whole there
	$(VENV)/bin/python -m pytest --durations 10 tests/appliance

clean:  ## Remove what was built; .venv/ and the state in var/ stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	$(MAKE) -s -C bench/phonestorm clean

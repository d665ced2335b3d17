"""The examples in dhcp/ are what the official tables give."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from provd.dhcp import dnsmasq, isc, kea
from provd.dhcp.kea import KeaPlace
from provd.dhcp.rules import make_rules
from provd.dhcp.snippet import Snippet
from provd.dhcp.table import parse_table
from tests.unit.dhcp.acme import PLACE

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "dhcp"
KEA_PLACE = KeaPlace("/usr/lib/x86_64-linux-gnu/kea/hooks/libdhcp_run_script.so")

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="these are not the sources, but an installed program")


@pytest.fixture(scope="module")
def snippet() -> Snippet:
    files = ROOT.glob("plugins/*/dhcp.toml")
    tables = [parse_table(file.parent.name, tomllib.loads(file.read_text())) for file in files]
    return Snippet(make_rules(tables, PLACE), PLACE)


def test_isc(snippet: Snippet) -> None:
    assert (EXAMPLES / "xivo-provd.isc.conf").read_text() == isc.render(snippet), "run: make dhcp"


def test_kea(snippet: Snippet) -> None:
    assert (EXAMPLES / "xivo-provd.kea.json").read_text() == kea.render(snippet, KEA_PLACE), "run: make dhcp"


def test_dnsmasq(snippet: Snippet) -> None:
    assert (EXAMPLES / "xivo-provd.dnsmasq.conf").read_text() == dnsmasq.render(snippet), "run: make dhcp"

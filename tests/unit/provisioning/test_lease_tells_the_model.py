"""A phone whose requests do not say its model, and of which the DHCP server knows it: a Cisco 7900 in SCCP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provd.model.dhcp_event import dhcp_event
from provd.model.request import TftpRequest

from ..plugins.sample import INFO, write_plugin
from .house import House

MAC = "00:1e:4a:00:00:01"
OLD, NEW = "xivo-sccp-8.5", "xivo-sccp-9.0"
ENTRY = '''
import re

from provd.plugins.api import File, Identity, Plugin, format_mac, normalize_mac


class SccpPlugin(Plugin):
    IS_PLUGIN = True

    def identify_tftp(self, request):
        own = re.fullmatch(r"SEP([0-9A-F]{12})[.]cnf[.]xml", request.path)
        return Identity("Cisco", mac=normalize_mac(own[1])) if own else None

    def identify_dhcp(self, lease):
        text = lease.options.get(60, b"").rstrip(b"\\0").decode("latin-1")
        match = re.fullmatch(r"Cisco Systems, Inc[.] IP Phone CP-(79[0-9]{2}G)(?:-GE)?", text)
        return Identity("Cisco", match[1]) if match else None

    def device_files(self, device, raw_config):
        yield File(f"SEP{format_mac(device['mac'], '', upper=True)}.cnf.xml", content=device.get("model", "unknown"))
'''


@pytest.fixture
def cisco(tmp_path: Path) -> Iterator[House]:
    """The old phones have firmware 8.5, the others 9.0; both plugins recognise all of them."""
    for plugin_id, models in ((OLD, ("7940G", "7960G")), (NEW, ("7942G", "7962G"))):
        info = {**INFO, "vendor": "Cisco", "models": {model: {"lines": 2} for model in models}}
        write_plugin(tmp_path / "plugins", plugin_id, entry=ENTRY, info=json.dumps(info))
    house = House(tmp_path)
    yield house
    house.close()


def lease(model: str, ip: str = "192.0.2.50") -> None:
    text = f"Cisco Systems, Inc. IP Phone CP-{model}\0".encode()
    return dhcp_event("commit", ip, MAC, ["060" + ".".join(f"{byte:x}" for byte in text)])


@pytest.mark.parametrize(("model", "plugin_id"), [("7940G", OLD), ("7942G", NEW), ("7962G", NEW)])
def test_the_lease_gives_the_model_and_so_the_plugin_before_the_first_request(
    cisco: House, model: str, plugin_id: str
) -> None:
    cisco.app.leases.handle(lease(model))
    device = cisco.the_device()
    assert (device["mac"], device["ip"], device["model"], device["plugin"]) == (MAC, "192.0.2.50", model, plugin_id)
    assert cisco.ask_quick(TftpRequest("192.0.2.50", "SEP001E4A000001.cnf.xml")) == model.encode(), "it is ready"


def test_without_the_lease_the_newest_plugin_is_a_guess_that_the_next_lease_corrects(cisco: House) -> None:
    assert cisco.ask(TftpRequest("192.0.2.50", "SEP001E4A000001.cnf.xml")) == b"unknown"
    assert cisco.the_device()["plugin"] == NEW
    cisco.app.leases.handle(lease("7940G"))
    device = cisco.the_device()
    assert (device["model"], device["plugin"]) == ("7940G", OLD)
    assert cisco.ask(TftpRequest("192.0.2.50", "SEP001E4A000001.cnf.xml")) == b"7940G"


def test_a_plugin_that_somebody_chose_stays(cisco: House) -> None:
    cisco.ask(TftpRequest("192.0.2.50", "SEP001E4A000001.cnf.xml"))
    device = cisco.the_device()
    cisco.app.devices.change(device["id"], {**device, "description": "reception"})
    cisco.app.leases.handle(lease("7940G"))
    assert (cisco.the_device()["model"], cisco.the_device()["plugin"]) == ("7940G", NEW)

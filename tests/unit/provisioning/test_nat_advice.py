"""Which phones can work behind NAT, and who is told of those that cannot."""

from __future__ import annotations

import json
import logging

import pytest

from provd.provisioning.nat_advice import nat_objection, nat_support

from ..plugins.sample import INFO, PLUGIN_ID, write_plugin
from ..store.steered import wait_until
from .house import MAC, OTHER_MAC, House, phone, phone_number

OTHER = "xivo-other-1.0"
ENTRY = "from provd.plugins.api import Plugin\nclass Other(Plugin):\n    IS_PLUGIN = True\n"


def able(**models: bool) -> dict[str, object]:
    """A plugin-info that says of each model whether it can work behind NAT."""
    return {**INFO, "models": {name: {"lines": 1, "behind_nat": flag} for name, flag in models.items()}}


@pytest.fixture
def mixed(house: House) -> House:
    """The S100 can work behind NAT, the S200 cannot."""
    house.close()
    info = house.plugins_folder / PLUGIN_ID / "plugin-info"
    info.write_text(json.dumps(able(S100=True, S200=False)))
    house.open()
    return house


def test_a_plugin_says_whether_all_some_or_none_of_its_models_can(mixed: House) -> None:
    write_plugin(mixed.plugins_folder, OTHER, entry=ENTRY, info=able(O1=True, O2=True))
    write_plugin(mixed.plugins_folder, "xivo-broken-1", entry="1/0")
    write_plugin(mixed.plugins_folder, "xivo-old-1.0", entry=ENTRY, info={**INFO, "models": {}})
    mixed.host.load_all({"ip": "192.0.2.10", "http_port": 80, "tftp_port": 69})
    assert nat_support(mixed.host) == {PLUGIN_ID: "some", OTHER: "all", "xivo-old-1.0": "none"}


def test_a_model_that_cannot_is_named(mixed: House) -> None:
    assert nat_objection({"plugin": PLUGIN_ID, "model": "S100"}, mixed.host) is None
    assert "the S200 does not say in each request" in str(
        nat_objection({"plugin": PLUGIN_ID, "model": "S200"}, mixed.host)
    )


@pytest.mark.parametrize("model", [None, "S999"])
def test_an_unknown_model_is_fine_only_if_all_of_the_plugin_are(mixed: House, model: str | None) -> None:
    device = {"plugin": PLUGIN_ID, "model": model}
    assert "not known" in str(nat_objection(device, mixed.host))
    write_plugin(mixed.plugins_folder, OTHER, entry=ENTRY, info=able(O1=True))
    mixed.host.load_all({"ip": "192.0.2.10", "http_port": 80, "tftp_port": 69})
    assert nat_objection({"plugin": OTHER, "model": model}, mixed.host) is None


@pytest.mark.parametrize("device", [{}, {"plugin": "xivo-gone-1"}])
def test_of_a_device_without_a_plugin_nothing_is_said(mixed: House, device: dict[str, str]) -> None:
    assert nat_objection(device, mixed.host) is None


def test_a_device_that_cannot_is_warned_of_once_when_it_comes_to_be(
    mixed: House, caplog: pytest.LogCaptureFixture
) -> None:
    mixed.app.set_nat(True)
    with caplog.at_level(logging.WARNING, "provd.provisioning.settling"):
        mixed.ask(phone(mac=MAC, model="S100"))
        assert not caplog.records
        for _ in range(2):
            mixed.ask(phone(mac=OTHER_MAC, model="S200"))
    (record,) = caplog.records
    assert OTHER_MAC in record.getMessage()
    (suited, unsuited) = (mixed.devices.find("mac", mac)[0] for mac in (MAC, OTHER_MAC))
    assert mixed.app.nat_objection(suited) is None
    assert "S200" in str(mixed.app.nat_objection(unsuited))


def test_when_nat_is_switched_on_all_that_cannot_are_counted(mixed: House, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(5):
        request = phone_number(number)
        request.headers = {"user-agent": request.user_agent.replace("S100", "S200" if number else "S100")}
        mixed.ask(request)
    (first, *_) = mixed.devices.ids()
    assert mixed.app.nat_objection(first) is None, "NAT is off"
    with caplog.at_level(logging.WARNING, "provd.provisioning.nat_advice"):
        mixed.app.set_nat(True)
        wait_until(lambda: caplog.records)
    assert "devices=4" in caplog.text

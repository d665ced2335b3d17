"""What is known of a device follows what its phone says of itself, and so does its plugin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import Problem

from ..plugins.sample import ENTRY, INFO, PLUGIN_ID, write_plugin
from .house import MAC, OTHER_MAC, OWN, House, lease, own_config, phone

OTHER_PLUGIN = "xivo-other-1.0"
"""Of the vendor Other, whose phones say so in the same way."""
RAISING = """
from provd.plugins.api import Plugin

class Raising(Plugin):
    IS_PLUGIN = True

    def raises(self, *arguments, **more):
        raise {error}

    identify_http = identify_tftp = identify_dhcp = support = is_sensitive = device_files = raises
"""


@pytest.fixture
def house(tmp_path: Path) -> Any:
    write_plugin(tmp_path / "plugins")
    write_plugin(
        tmp_path / "plugins",
        OTHER_PLUGIN,
        entry=ENTRY.replace('"Sample"', '"Other"').replace("Sample/{name}", "Other/{name}"),
        info={**INFO, "vendor": "Other", "models": {"O1": {"lines": 1, "firmware": "1.0"}}},
    )
    house = House(tmp_path)
    yield house
    house.close()


def added(house: House, **more: Any) -> None:
    """A device that an administrator typed in."""
    house.app.configs.add(own_config("mine"))
    house.app.devices.add({"id": "d", "mac": MAC, "config": "mine", **more})


def known(house: House, *keys: str) -> tuple[Any, ...]:
    return tuple(house.the_device().get(key) for key in keys)


def other_phone(path: str = "x") -> HttpRequest:
    return HttpRequest("192.0.2.101", path, headers={"user-agent": f"Other O1 {MAC} 1.0"})


# --- vendor and model


def test_a_wrong_model_is_corrected_and_the_plugin_that_fits_stays(house: House) -> None:
    added(house, vendor="Sample", model="S200", plugin=PLUGIN_ID)
    assert isinstance(house.ask(phone()), bytes)
    assert known(house, "vendor", "model", "plugin") == ("Sample", "S100", PLUGIN_ID)


def test_a_plugin_that_fits_the_corrected_phone_stays_though_there_is_a_newer_one(house: House) -> None:
    house.close()
    write_plugin(house.plugins_folder, "xivo-sample-2.0")
    house.open()
    added(house, vendor="Sample", model="S200", plugin=PLUGIN_ID)
    house.ask(phone())
    assert known(house, "model", "plugin") == ("S100", PLUGIN_ID)


def test_the_files_are_made_anew_for_the_corrected_model(house: House) -> None:
    (house.root().parents[1] / "templates/S100.tpl").write_text("model=S100\n")
    added(house, vendor="Sample", model="S200", plugin=PLUGIN_ID)
    assert "model=base" in house.files()[OWN]
    assert house.ask(phone()) == b"model=S100"


def test_a_wrong_vendor_is_corrected_and_a_plugin_that_fits_is_chosen(house: House) -> None:
    added(house, vendor="Sample", model="S100", plugin=PLUGIN_ID)
    house.ask(other_phone())
    assert known(house, "vendor", "model", "plugin", "config") == ("Other", "O1", OTHER_PLUGIN, "mine")
    assert house.files() == {}, "those of the old plugin go"
    assert list(house.files(OTHER_PLUGIN)) == ["Other/00085D000001.cfg"]


def test_a_wrong_vendor_is_corrected_by_a_lease_too(house: House) -> None:
    added(house, vendor="Other", model="O1", plugin=OTHER_PLUGIN)
    assert house.told(lease()) == "noted"
    assert known(house, "vendor", "model", "plugin") == ("Sample", "S100", PLUGIN_ID)


@pytest.mark.parametrize(
    "request_",
    [
        TftpRequest("192.0.2.101", OWN),
        HttpRequest("192.0.2.101", OWN, headers={"user-agent": "Mozilla/5.0"}),
        HttpRequest("192.0.2.101", "Sample/common.cfg", headers={"user-agent": "Sample S100"}),
    ],
    ids=["file name", "file name by HTTP", "nameless"],
)
def test_a_request_that_does_not_introduce_the_phone_corrects_nothing(
    house: House, request_: HttpRequest | TftpRequest
) -> None:
    added(house, ip="192.0.2.101", vendor="Other", model="O1", plugin=OTHER_PLUGIN)
    house.ask(request_)
    device = house.devices.get("d")
    assert device is not None
    assert (device["vendor"], device["model"], device["plugin"]) == ("Other", "O1", OTHER_PLUGIN)


def test_without_a_better_plugin_the_one_that_is_there_stays(house: House) -> None:
    added(house, vendor="Sample", model="S100", plugin=PLUGIN_ID)
    shutil.rmtree(house.root(OTHER_PLUGIN).parents[1])
    house.close()
    write_plugin(
        house.plugins_folder,
        "xivo-nobody-1.0",
        entry=ENTRY.replace('"Sample"', '"Other"'),
        info={**INFO, "vendor": "Nobody"},
    )
    house.open()
    house.ask(other_phone())
    assert known(house, "vendor", "plugin") == ("Other", PLUGIN_ID)


def test_a_correction_is_told_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    added(house, vendor="Sample", model="S200", plugin=PLUGIN_ID)
    for _ in range(3):
        house.ask(phone())
    lines = [record.getMessage() for record in caplog.records if "corrected" in record.getMessage()]
    assert lines == ["device corrected: device=d model='S100' before='S200'"]


@pytest.mark.parametrize("key", ["sn", "uuid", "mac"])
def test_what_names_the_phone_stays_as_it_is(house: House, key: str) -> None:
    value = {"sn": "1", "uuid": "0f3a5a9c-0000-4000-8000-000000000000", "mac": MAC}[key]
    added(house, **{"vendor": "Sample", "model": "S200", key: value})
    house.ask(phone())
    assert known(house, key) == (value,)


# --- association


def test_a_device_without_plugin_is_given_one_by_all_that_is_known_of_it(house: House) -> None:
    """The request says only which phone it is; vendor and model were typed in."""
    added(house, ip="192.0.2.101", vendor="Sample", model="S100")
    house.ask(TftpRequest("192.0.2.101", "Sample/common.cfg"))
    assert known(house, "plugin", "configured") == (PLUGIN_ID, True)


def test_a_device_of_a_plugin_that_is_gone_is_given_another(house: House) -> None:
    added(house, vendor="Sample", model="S100", plugin="xivo-sample-0.9")
    house.ask(TftpRequest("192.0.2.101", OWN))
    assert known(house, "plugin", "configured") == (PLUGIN_ID, True)


def test_a_device_of_a_plugin_that_does_not_load_keeps_it(house: House) -> None:
    house.ask(phone())
    house.close()
    (house.root().parents[1] / "entry.py").write_text("broken = (")
    house.open()
    assert isinstance(house.ask(TftpRequest("192.0.2.101", OWN)), bytes), "its files are there"
    assert known(house, "plugin") == (PLUGIN_ID,)


def test_an_unknown_phone_whose_plugin_nobody_has_is_not_asked_for_again_and_again(house: House) -> None:
    added(house, vendor="Nobody", ip="192.0.2.101")
    house.ask(TftpRequest("192.0.2.101", "x"))
    before = len(house.backend.commits)
    assert house.ask_quick(TftpRequest("192.0.2.101", "x")) is Problem.NO_PLUGIN
    assert len(house.backend.commits) == before


def with_a_plugin_for_newer_firmware(house: House) -> str:
    """Beside the plugin for 1.0 there is one for 2.0."""
    house.close()
    models = {name: {**model, "firmware": "2.0"} for name, model in INFO["models"].items()}
    write_plugin(house.plugins_folder, "xivo-sample-2.0", info={**INFO, "models": models})
    house.open()
    return "xivo-sample-2.0"


def test_a_phone_whose_firmware_becomes_known_gets_the_plugin_made_for_that(house: House) -> None:
    """A lease does not say it; so without this, whether there was one would decide."""
    newer = with_a_plugin_for_newer_firmware(house)
    house.told(lease())
    assert known(house, "version", "plugin") == (None, newer), "nothing speaks for the older"
    assert isinstance(house.ask(phone(version="1.0")), bytes)
    assert known(house, "version", "plugin") == ("1.0", PLUGIN_ID)
    assert isinstance(house.ask(phone(version="2.0")), bytes)
    assert known(house, "version", "plugin") == ("2.0", PLUGIN_ID), "an upgrade of the phone is none of its plugin"


def test_of_a_claimed_device_the_plugin_stays_when_its_firmware_becomes_known(house: House) -> None:
    newer = with_a_plugin_for_newer_firmware(house)
    house.told(lease())
    device = house.the_device()
    house.app.devices.change(device["id"], {**device, "description": "reception"})
    assert isinstance(house.ask(phone(version="1.0")), bytes)
    assert known(house, "version", "plugin") == ("1.0", newer)


# --- plugins that raise


@pytest.mark.parametrize("error", ["ValueError('x')", "SystemExit(3)", "RecursionError()", "KeyError"])
def test_a_plugin_that_raises_costs_nobody_else_anything(
    house: House, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    house.close()
    write_plugin(house.plugins_folder, "xivo-bad-9.0", entry=RAISING.format(error=error), info={**INFO, "vendor": "B"})
    house.open()
    house.told(lease())
    assert isinstance(house.ask(phone()), bytes)
    assert isinstance(house.ask(TftpRequest("192.0.2.101", OWN)), bytes)
    assert house.ask(phone("nothing.cfg", mac=None, address="192.0.2.66")) is Problem.NO_PLUGIN
    assert known(house, "vendor", "model", "plugin", "configured") == ("Sample", "S100", PLUGIN_ID, True)
    assert house.host.failures["xivo-bad-9.0"] > 3
    assert caplog.text.count("plugin fails: plugin=xivo-bad-9.0") == 1, "told now and then"


def test_a_plugin_that_answers_nonsense_costs_nobody_else_anything(house: House) -> None:
    house.close()
    entry = """
from provd.plugins.api import Identity, Plugin

class Bad(Plugin):
    IS_PLUGIN = True

    def identify_http(self, request):
        return Identity(vendor=b"\\xff", model=["x"], mac=7, sn="x" * 10_000, uuid="a\\0b")

    def identify_tftp(self, request):
        return "Sample"

    def support(self, identity):
        return "very well"
"""
    write_plugin(house.plugins_folder, "xivo-bad-9.0", entry=entry, info={**INFO, "vendor": "B"})
    house.open()
    house.ask(TftpRequest("192.0.2.101", OWN))
    assert isinstance(house.ask(phone()), bytes)
    assert known(house, "vendor", "model", "plugin", "sn", "uuid") == ("Sample", "S100", PLUGIN_ID, None, None)
    for trace in house.app.decisions.latest():
        assert len(json.dumps(trace)) < 5000


def test_several_versions_of_a_plugin_are_all_asked(house: House) -> None:
    house.close()
    write_plugin(house.plugins_folder, "xivo-sample-2.0")
    house.open()
    house.ask(phone(mac=OTHER_MAC, path="x"))
    (trace,) = house.app.decisions.of_device(house.the_device()["id"])
    assert list(trace["extracted"]) == ["xivo-sample-2.0", PLUGIN_ID]
    assert trace["support"] == {"xivo-sample-2.0": "EXACT", PLUGIN_ID: "EXACT", OTHER_PLUGIN: "NONE"}

"""A phone's first request makes it a device; the same request again costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import Problem
from provd.provisioning.recognition import today

from ..plugins.sample import PLUGIN_ID, write_plugin
from .house import MAC, OTHER_MAC, OWN, House, phone


def test_the_first_request_makes_a_device_a_config_and_a_file(house: House) -> None:
    content = house.ask(phone())
    device = house.the_device()
    config = house.configs.get(device["config"])
    assert config is not None
    username = config["raw_config"]["sip_lines"]["1"]["username"]
    assert device == {
        "id": device["id"], "added": "auto", "ip": "192.0.2.101", "mac": MAC, "vendor": "Sample", "model": "S100",
        "version": "1.0", "plugin": PLUGIN_ID, "config": config["id"], "configured": True,
        "last_contact": today(),
    }  # fmt: skip
    assert content == f"mac={MAC} model=base user={username} at=192.0.2.10".encode()
    assert config["parent_ids"] == ["autoprov"]
    assert config["transient"] is True


def test_a_new_device_is_one_line_in_the_security_log(house: House) -> None:
    house.ask(phone())
    house.ask(phone())
    device_id = house.the_device()["id"]
    assert house.security_lines("New device") == [f"New device created automatically from 192.0.2.101: {device_id}"]
    own = f'Sensitive file requested from 192.0.2.101: "00085D000001.cfg" owner=known device={device_id}'
    assert house.security_lines("Sensitive") == [own, own]


def test_the_second_boot_writes_nothing(house: House) -> None:
    first = house.ask(phone())
    device = house.the_device()
    before = (
        house.devices.revision(device["id"]),
        house.configs.revision(device["config"]),
        len(house.backend.commits),
    )
    file = (house.root() / OWN).stat()
    for _ in range(3):
        assert house.ask_quick(phone()) == first
    assert house.ask_quick(TftpRequest("192.0.2.101", OWN)) == first
    after = (house.devices.revision(device["id"]), house.configs.revision(device["config"]), len(house.backend.commits))
    assert after == before
    now = (house.root() / OWN).stat()
    assert (now.st_ino, now.st_mtime_ns, now.st_ctime_ns) == (file.st_ino, file.st_mtime_ns, file.st_ctime_ns)


def test_a_phone_is_known_after_a_restart(house: House) -> None:
    first = house.ask(phone())
    house.close()
    house.open()
    assert house.ask_quick(phone()) == first
    assert len(house.backend.commits) == 0


def test_a_device_takes_two_commits(house: House) -> None:
    before = len(house.backend.commits)
    house.ask(phone())
    assert len(house.backend.commits) - before == 2


def test_tftp_makes_a_device_too_and_http_tells_more_of_it_later(house: House) -> None:
    house.ask(TftpRequest("192.0.2.101", OWN))
    assert "model" not in house.the_device()
    house.ask(phone())
    assert house.the_device()["model"] == "S100"


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("192.0.2.66", "favicon.ico", headers={"user-agent": "Mozilla/5.0"}),
        HttpRequest("192.0.2.66", ""),
        HttpRequest("192.0.2.66", "../../etc/passwd"),
        HttpRequest("192.0.2.66", "Sample/common.cfg"),
        TftpRequest("192.0.2.66", "pxelinux.0"),
        TftpRequest("2001:db8::66", "x\0y"),
    ],
)
def test_requests_that_identify_nothing_create_nothing(house: House, request_: HttpRequest | TftpRequest) -> None:
    before = len(house.backend.commits)
    assert house.ask_quick(request_) in (Problem.NO_PLUGIN, Problem.BAD_NAME)
    assert isinstance(house.app.phones.handle(request_), Problem)
    assert (len(house.devices), len(house.backend.commits), house.security_lines()) == (0, before, [])


def test_without_plugins_nothing_becomes_a_device(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert house.ask(phone()) is Problem.NO_PLUGIN
    assert len(house.devices) == 0
    house.close()


def test_a_device_that_was_removed_comes_back_as_a_new_one(house: House) -> None:
    house.ask(phone())
    old = house.the_device()
    house.app.devices.remove(old["id"])
    assert old["config"] not in house.configs
    house.ask(phone())
    assert house.the_device()["id"] != old["id"]
    assert len(house.security_lines("New device")) == 2


def test_a_phone_without_a_config_is_given_one_as_soon_as_there_is_one_to_derive_from(house: House) -> None:
    autoprov = house.configs.get("autoprov")
    assert autoprov is not None
    house.app.configs.change("autoprov", {**autoprov, "role": None})
    assert house.ask(phone()) is Problem.NOT_FOUND
    assert house.the_device()["configure_error"] == "the device has no config"
    assert house.ask_quick(phone()) is Problem.NOT_FOUND
    house.app.configs.change("autoprov", autoprov)
    assert isinstance(house.ask(phone()), bytes)
    assert house.the_device()["configured"] is True


def test_version_and_address_follow_the_phone_and_the_rest_stays(house: House) -> None:
    house.ask(phone())
    house.ask(phone(address="192.0.2.102", version="2.0"))
    device = house.the_device()
    assert (device["ip"], device["version"], device["model"]) == ("192.0.2.102", "2.0", "S100")


def test_a_phone_that_comes_to_anothers_address_takes_it_in_one_commit(house: House) -> None:
    house.ask(phone())
    house.ask(phone("Sample/00085D000002.cfg", mac=OTHER_MAC, address="192.0.2.102"))
    before = len(house.backend.commits)
    house.ask(phone(address="192.0.2.102"))
    first, second = (house.devices.get(*house.devices.find("mac", mac)) for mac in (MAC, OTHER_MAC))
    assert first is not None
    assert second is not None
    assert first["ip"] == "192.0.2.102"
    assert "ip" not in second
    assert [len(changes) for changes in house.backend.commits[before:]] == [2]
    assert house.devices.find("ip", "192.0.2.102") == (first["id"],)


def test_a_phone_of_a_plugin_that_was_removed_is_given_to_another(house: House) -> None:
    house.ask(phone())
    house.close()
    house.root().parents[1].rename(house.folder / "removed")
    write_plugin(house.plugins_folder, "xivo-sample-2.0")
    house.open()
    content = house.ask(phone())
    assert house.the_device()["plugin"] == "xivo-sample-2.0"
    assert house.files("xivo-sample-2.0") == {OWN: content.decode() if isinstance(content, bytes) else ""}


def test_a_phone_of_a_plugin_that_is_there_stays_with_it(house: House) -> None:
    house.ask(phone())
    house.close()
    write_plugin(house.plugins_folder, "xivo-sample-2.0")
    house.open()
    house.ask(phone(version="2.0"))
    assert house.the_device()["plugin"] == PLUGIN_ID


def test_the_newest_version_is_chosen_for_a_new_phone(house: House) -> None:
    house.close()
    for plugin_id in ("xivo-sample-1.9", "xivo-sample-1.10"):
        write_plugin(house.plugins_folder, plugin_id)
    house.open()
    house.ask(phone())
    assert house.the_device()["plugin"] == "xivo-sample-1.10"


def test_a_plugin_that_cannot_configure_a_new_phone_says_why_on_the_device(house: House) -> None:
    nameless = HttpRequest("192.0.2.101", "Sample/common.cfg", headers={"user-agent": "Sample S100"})
    assert house.ask(nameless) == b"server=192.0.2.10"
    assert house.the_device()["configure_error"] == "the MAC address is not known"
    house.ask(phone())
    assert house.the_device()["configured"] is True

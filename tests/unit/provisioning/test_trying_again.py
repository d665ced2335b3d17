"""Files that could not be made, are gone, or are out of date come to be as they should by themselves."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from provd.plugins import publish
from provd.plugins.files import Problem
from provd.provisioning import doubts
from provd.provisioning.retries import MAX_REMEMBERED, Retries
from provd.store.schema import DEVICES, PARAMETERS
from provd.store.store import Transaction

from ..plugins.sample import ENTRY, PLUGIN_ID, write
from ..store.steered import wait_until
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone, phone_number


def custom_template(house: House, text: str, name: str = "base.tpl") -> Path:
    return write(house.root().parent / "templates" / name, text)


def add_device(house: House, device_id: str = "d", mac: str = MAC) -> None:
    house.app.configs.add(own_config(f"of-{device_id}"))
    house.app.devices.add({"id": device_id, "mac": mac, "plugin": PLUGIN_ID, "config": f"of-{device_id}"})


# --- when the phone asks


def test_a_phone_whose_files_could_not_be_made_gets_them_when_the_cause_is_gone(house: House) -> None:
    broken = custom_template(house, "{{ broken")
    assert house.ask(phone()) is Problem.NOT_CONFIGURED
    broken.unlink()
    assert house.ask(phone()) == house.files()[OWN].encode()
    assert house.the_device()["configured"] is True


def test_a_phone_whose_files_cannot_be_made_is_not_tried_with_each_of_its_requests(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    custom_template(house, "{{ broken")
    tried = []
    configure = house.app.configurer.configure_held
    monkeypatch.setattr(house.app.configurer, "configure_held", lambda each: tried.append(each) or configure(each))
    for _ in range(20):
        house.ask(phone())
    assert len(tried) == 2, "when the device was made, and once more"


def test_a_file_that_somebody_removed_is_made_again(house: House, caplog: pytest.LogCaptureFixture) -> None:
    expected = house.ask(phone())
    (house.root() / OWN).unlink()
    assert house.ask_quick(phone()) is None
    assert house.ask(phone()) == expected
    assert f"a file is gone and is made again: device={house.the_device()['id']}" in caplog.text


def test_a_phone_that_was_recognised_before_it_became_another_device_is_looked_up_again(house: House) -> None:
    add_device(house)
    house.ask(phone())
    house.backend.gate.shut()
    changing = gevent.spawn(
        house.app.devices.change, "d", {"mac": OTHER_MAC, "plugin": PLUGIN_ID, "config": "of-d", "ip": "192.0.2.9"}
    )
    wait_until(lambda: house.backend.gate.waiting)
    asking = gevent.spawn(house.ask, phone(address="192.0.2.50"))
    gevent.sleep(0.01)
    house.backend.gate.open()
    gevent.joinall([changing, asking], timeout=5, raise_error=True)
    changed = house.devices.get("d")
    assert changed is not None
    assert (changed["mac"], changed["ip"]) == (OTHER_MAC, "192.0.2.9")
    assert len(house.devices) == 2, "the phone is a new one now"


# --- at the start


def test_devices_without_their_files_are_tried_at_the_start(house: House) -> None:
    broken = custom_template(house, "{{ broken")
    add_device(house)
    house.close()
    os.utime(broken, (1, 1))
    house.open()
    house.wait_for_recheck()
    assert house.the_device()["configured"] is False
    broken.unlink()
    house.close()
    house.open()
    house.wait_for_recheck()
    assert house.the_device()["configured"] is True


def test_an_address_that_a_device_could_not_be_told_is_told_later(house: House) -> None:
    add_device(house)
    house.close()
    write(house.plugins_folder / PLUGIN_ID / "entry.py", "this is no Python")
    house.open({"ip": "192.0.2.99"})
    house.wait_for_recheck()
    house.close()
    write(house.plugins_folder / PLUGIN_ID / "entry.py", ENTRY)
    house.open({"ip": "192.0.2.99"})
    house.wait_for_recheck()
    assert house.files()[OWN].endswith("at=192.0.2.99")


@pytest.mark.parametrize("when", ["at the start", "when told"])
@pytest.mark.parametrize("name", ["base.tpl", "S100.tpl", "00085D000001.cfg.tpl"])
def test_a_changed_template_reaches_the_phones_that_have_files_of_it(house: House, name: str, when: str) -> None:
    house.ask(phone())
    if when == "at the start":
        house.close()
    custom_template(house, "mine {{ XX_mac }}", name)
    if when == "at the start":
        house.open()
    else:
        house.app.doubts.check_plugins()
    house.wait_for_recheck()
    assert house.files() == {OWN: f"mine {MAC}"}
    house.app.doubts.check_plugins()
    assert len(house.app.recheck) == 0, "what was noticed once is not noticed again"


def test_other_plugins_are_not_looked_at_when_one_changes(house: House) -> None:
    house.ask(phone())
    add_device(house, "e", OTHER_MAC)
    house.store.commit(Transaction().put(DEVICES, "e", {"id": "e", "mac": OTHER_MAC, "plugin": "xivo-other-1"}))
    custom_template(house, "mine")
    house.app.doubts.check_plugins()
    assert not house.app.recheck.is_waiting("e")
    assert len(house.app.recheck) == 1


# --- at the stop


def test_a_stop_between_a_phones_change_and_its_files_is_made_good_at_the_next_start(house: House) -> None:
    house.ask(phone())
    house.backend.gate.shut()
    asking = gevent.spawn(house.ask, phone(version="2.0"))
    wait_until(lambda: house.backend.gate.waiting)
    asking.kill(block=False)
    gevent.sleep(0)
    damaged = (house.root() / OWN).read_bytes()
    (house.root() / OWN).write_bytes(b"as it was before")
    house.close()
    house.open()
    house.wait_for_recheck()
    assert (house.root() / OWN).read_bytes() == damaged


def test_a_stop_in_the_middle_of_a_configs_change_is_made_good_at_the_next_start(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        add_device(house, f"d{number}", f"00:08:5d:00:00:0{number}")
        device = {"mac": f"00:08:5d:00:00:0{number}", "plugin": PLUGIN_ID, "config": "of-d0"}
        house.app.devices.change(f"d{number}", device)
    configure, begun = house.app.configurer.configure_held, []

    def configure_two(device_id: str) -> str | None:
        begun.append(device_id)
        return configure(device_id) if len(begun) <= 2 else str(Event().wait())

    monkeypatch.setattr(house.app.configurer, "configure_held", configure_two)
    changing = gevent.spawn(house.app.configs.change, "of-d0", own_config("of-d0", "changed"))
    wait_until(lambda: len(begun) >= 3)
    changing.kill()
    assert [text for text in house.files().values() if "user=changed" not in text] != []
    house.close()
    house.open()
    house.wait_for_recheck()
    assert [text for text in house.files().values() if "user=changed" not in text] == []


def test_a_change_that_the_store_refused_leaves_nobody_waiting(house: House) -> None:
    add_device(house)
    house.backend.refuses = lambda changes: True
    with pytest.raises(Exception, match="disk is full"):
        house.app.configs.change("of-d", own_config("of-d", "changed"))
    with pytest.raises(Exception, match="disk is full"):
        house.app.devices.change("d", {"mac": OTHER_MAC, "plugin": PLUGIN_ID, "config": "of-d"})
    assert len(house.app.recheck) == 0


def test_files_that_the_disk_did_not_take_at_the_stop_are_checked_at_the_next_start(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_folder: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    caplog.set_level(logging.INFO)
    house.ask(phone())
    monkeypatch.setattr(doubts, "sync_filesystem", refuse)
    house.close()
    house.open()
    assert len(house.app.recheck) == 1
    assert "reason='the disk did not take them at the last stop'" in caplog.text


def test_the_reason_of_a_check_is_the_true_one(house: House, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(30):
        house.ask(phone_number(number))
    house.close()
    house.open({"ip": "192.0.2.99"})
    house.close()
    caplog.set_level(logging.INFO)
    caplog.clear()
    house.open({"ip": "192.0.2.99"})
    assert "were not checked before the last stop" in caplog.text
    assert "not clean" not in caplog.text


def test_a_removed_file_is_gone_for_good_before_that_is_noted(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that came back after a power failure would hold a secret, and be nobody's."""
    add_device(house)
    order = []
    sync, commit = publish.sync_folder, house.backend.commit
    monkeypatch.setattr(publish, "sync_folder", lambda folder: (order.append(folder.name), sync(folder)))
    monkeypatch.setattr(house.backend, "commit", lambda rows: (order.append(rows[0].collection), commit(rows)))
    house.app.devices.remove("d")
    assert order == ["devices", "Sample", "renderings"]


# --- damaged documents


def damage(house: House, collection: str, document_id: str) -> None:
    """Make a document unreadable while the server is down."""
    house.kill()
    connection = sqlite3.connect(house.folder / "provd.db")
    rows = connection.execute(
        "UPDATE documents SET document = '{\"id\":' WHERE collection = ? AND id = ?", (collection, document_id)
    )
    assert rows.rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("collection", "damaged"), [("configs", "of-d"), ("configs", "parent"), ("devices", "d")])
def test_a_damaged_document_costs_no_file(house: House, collection: str, damaged: str) -> None:
    house.app.configs.add({"id": "parent", "parent_ids": [], "raw_config": {"ip": "198.51.100.1"}})
    house.app.configs.add({**own_config("of-d"), "parent_ids": ["parent"]})
    house.app.devices.add({"id": "d", "mac": MAC, "plugin": PLUGIN_ID, "config": "of-d"})
    before = house.files()
    damage(house, collection, damaged)
    house.open()
    house.wait_for_recheck()
    assert house.files() == before
    if collection == "configs":
        assert house.the_device()["configure_error"].startswith(f"the config '{damaged}' cannot be read")


# --- the server's address


def test_the_standard_configs_follow_the_servers_address(house: House) -> None:
    edited = {**(house.configs.get("base") or {}), "raw_config": {"ntp_enabled": True, "ntp_ip": "203.0.113.1"}}
    house.app.configs.change("base", edited)
    house.close()
    house.open({"ip": "192.0.2.99"})
    autoprov, default = house.configs.get("autoprov"), house.configs.get("default")
    assert autoprov is not None
    assert default is not None
    line = autoprov["raw_config"]["sip_lines"]["1"]
    assert (line["proxy_ip"], line["registrar_ip"]) == ("192.0.2.99", "192.0.2.99")
    assert default["proxy_main"] == "192.0.2.99"
    assert house.configs.get("base") == edited


# --- what an administrator is told


def test_a_plugin_that_devices_need_and_that_is_gone_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    add_device(house)
    house.close()
    (house.plugins_folder / PLUGIN_ID).rename(house.folder / "away")
    house.open()
    assert f"plugin is not installed: plugin={PLUGIN_ID} devices=1" in caplog.text
    assert "no plugin is installed" in caplog.text


def test_a_phone_that_moves_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.ask(phone())
    house.ask(phone(address="192.0.2.50"))
    assert "device moved" in caplog.text
    assert "ip=192.0.2.50 before=192.0.2.101" in caplog.text


# --- the memory of attempts


def test_the_memory_of_attempts_is_bounded() -> None:
    retries = Retries()
    for number in range(MAX_REMEMBERED + 1):
        assert retries.take(str(number))
    assert not retries.may(str(MAX_REMEMBERED))
    assert retries.may("0")


def test_an_attempt_is_due_again_when_its_time_has_passed() -> None:
    retries = Retries(interval_s=0.0)
    assert retries.take("a")
    assert retries.take("a")


def test_parameters_hold_nothing_of_a_check_that_is_done(house: House) -> None:
    house.ask(phone())
    house.kill()
    house.open()
    wait_until(lambda: "recheck" not in house.store.collection(PARAMETERS))
    assert OTHERS not in house.files()

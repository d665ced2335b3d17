"""When a template, a plugin or a value fails, the last good file stays, and the device says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..plugins.sample import PLUGIN_ID, write, write_plugin
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone

DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "c"}
GOOD = f"mac={MAC} model=base user=u1 at=192.0.2.10"


@pytest.fixture
def custom(house: House) -> Path:
    """Where a custom template goes; there is a configured device `d`."""
    house.app.configs.add(own_config("c"))
    house.app.devices.add(DEVICE)
    return house.root().parent / "templates/S100.tpl"


@pytest.mark.parametrize("source", ["{{ broken", "{{ 1 / 0 }}", "{% include 'gone.tpl' %}", "{{ nobody.name }}"])
def test_a_failing_template_keeps_the_last_good_file_and_is_named_on_the_device(
    house: House, custom: Path, source: str
) -> None:
    write(custom, source)
    reason = house.app.devices.reconfigure("d")
    assert reason is not None
    assert reason.startswith("var/templates/S100.tpl, line 1: ")
    assert house.the_device() == {**DEVICE, "configured": False, "configure_error": reason}
    assert house.files() == {OWN: GOOD}
    assert house.ask(phone()) == GOOD.encode()


def test_fixing_the_template_clears_the_reason(house: House, custom: Path) -> None:
    write(custom, "{{ broken")
    house.app.devices.reconfigure("d")
    write(custom, "fixed {{ XX_mac }}")
    assert house.app.devices.reconfigure("d") is None
    assert house.the_device() == {**DEVICE, "configured": True}
    assert house.files() == {OWN: f"fixed {MAC}"}
    custom.unlink()
    assert house.app.devices.reconfigure("d") is None
    assert house.files() == {OWN: GOOD}


def test_a_reason_that_stays_the_same_is_written_once(house: House, custom: Path) -> None:
    write(custom, "{{ broken")
    house.app.devices.reconfigure("d")
    before = len(house.backend.commits)
    house.app.devices.reconfigure("d")
    assert len(house.backend.commits) == before


def test_a_value_that_is_not_allowed_keeps_the_last_good_file_and_shows_no_secret(house: House, custom: Path) -> None:
    config = own_config("c")
    config["raw_config"]["ntp_enabled"] = True
    assert house.app.configs.change("c", config) == {"d": "ntp_ip: missing; needed: because ntp_enabled is true"}
    assert house.files() == {OWN: GOOD}


def test_code_that_fails_keeps_the_last_good_file(house: House, custom: Path) -> None:
    folder = house.plugins_folder / PLUGIN_ID
    entry = (folder / "entry.py").read_text(encoding="utf-8")
    write(folder / "entry.py", entry.replace('if not device.get("mac")', "if 1 / 0"))
    house.host.load(folder, {"ip": "192.0.2.10"})
    assert house.app.devices.reconfigure("d") == "the plugin's code fails: ZeroDivisionError: division by zero"
    assert house.files() == {OWN: GOOD}
    assert house.host.failures[PLUGIN_ID] == 1


def test_a_plugin_that_does_not_load_any_more_still_serves_its_files(house: House, custom: Path) -> None:
    house.ask(phone())
    house.close()
    write(house.plugins_folder / PLUGIN_ID / "entry.py", "1 / 0")
    house.open()
    assert house.ask(phone()) == GOOD.encode()  # the phone is known by its address: nobody reads its requests now
    assert "does not load" in str(house.app.devices.reconfigure("d"))
    assert house.files() == {OWN: GOOD}


def test_a_new_plugin_whose_template_fails_leaves_the_old_plugins_file_to_the_phone(house: House, custom: Path) -> None:
    write_plugin(house.plugins_folder, "xivo-sample-2.0", files={"templates/base.tpl": "{{ broken"})
    house.host.load(house.plugins_folder / "xivo-sample-2.0", {"ip": "192.0.2.10"})
    house.app.devices.change("d", {**DEVICE, "plugin": "xivo-sample-2.0"})
    assert "templates/base.tpl, line 1" in house.the_device()["configure_error"]
    assert house.files("xivo-sample-2.0") == {}
    assert house.ask(phone()) == GOOD.encode()
    write(house.plugins_folder / "xivo-sample-2.0/templates/base.tpl", "second {{ XX_mac }}")
    assert house.app.devices.reconfigure("d") is None
    assert house.files() == {}
    assert house.ask(phone()) == f"second {MAC}".encode()


def test_a_file_that_cannot_be_written_is_named_on_the_device(house: House, custom: Path) -> None:
    house.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC})
    (house.root() / OTHERS).unlink()
    (house.root() / OTHERS).mkdir()
    assert house.app.devices.reconfigure("e") == f"cannot write {house.root() / OTHERS}: Is a directory"
    (house.root() / OTHERS).rmdir()
    assert house.app.devices.reconfigure("e") is None


def test_a_file_that_was_damaged_or_removed_is_made_again(house: House, custom: Path) -> None:
    (house.root() / OWN).write_text("damaged", encoding="utf-8")
    assert house.app.devices.reconfigure("d") is None
    assert house.files() == {OWN: GOOD}
    (house.root() / OWN).unlink()
    assert house.app.devices.reconfigure("d") is None
    assert house.files() == {OWN: GOOD}


TWO_FILES = """
        yield File(f"Sample/{name}.key", content=f"key of {name}", sensitive=True)
"""


def test_files_written_before_one_that_failed_go_with_their_device(house: House, custom: Path) -> None:
    folder = house.plugins_folder / PLUGIN_ID
    entry = (folder / "entry.py").read_text(encoding="utf-8")
    write(folder / "entry.py", entry.replace("proves_sync=True)\n", "proves_sync=True)\n" + TWO_FILES))
    house.host.load(folder, {"ip": "192.0.2.10"})
    (house.root() / "Sample/00085D000002.key").mkdir()
    house.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC})
    assert (house.devices.get("e") or {})["configured"] is False
    house.app.devices.remove("e")
    assert OTHERS not in house.files()

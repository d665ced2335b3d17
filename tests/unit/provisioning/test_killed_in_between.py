"""A kill at any step of a verb or of a first boot: after the next start files, records and devices agree."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from ..plugins.sample import PLUGIN_ID, write_plugin
from ..store.steered import wait_until
from .house import BASE, MAC, OTHER_MAC, OWN, House, own_config, phone

SECOND = "xivo-sample-2.0"
DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "c"}

Action = Callable[[House], object]

ACTIONS: dict[str, Action] = {
    "first boot": lambda house: house.ask(phone("Sample/00085D000009.cfg", mac="00:08:5d:00:00:09")),
    "new version": lambda house: house.ask(phone(version="2.0")),
    "other address": lambda house: house.ask(phone(address="192.0.2.77")),
    "add": lambda house: house.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC}),
    "other MAC": lambda house: house.app.devices.change("d", {**DEVICE, "mac": OTHER_MAC}),
    "other plugin": lambda house: house.app.devices.change("d", {**DEVICE, "plugin": SECOND}),
    "no plugin": lambda house: house.app.devices.change("d", {**DEVICE, "plugin": None}),
    "remove": lambda house: house.app.devices.remove("d"),
    "change the config": lambda house: house.app.configs.change("c", own_config("c", "changed")),
    "remove the config": lambda house: house.app.configs.remove("c"),
}


def disagreements(house: House) -> list[str]:
    """What is wrong with files, records and devices."""
    found = []
    records = house.renderings.documents()
    recorded = {f"{file['plugin']}/{file['path']}" for record in records for file in record["files"]}
    files = {f"{plugin}/{path}": text for plugin in (PLUGIN_ID, SECOND) for path, text in house.files(plugin).items()}
    found += [f"{path} is nobody's" for path in files.keys() - recorded]
    found += [f"{path} is missing" for path in recorded - files.keys()]
    for device_id in house.devices.ids():
        device, record = house.devices.get(device_id), house.renderings.get(device_id)
        assert device is not None
        if device.get("configured") is not (record is not None):
            found.append(f"{device_id} is configured={device.get('configured')} with record {record}")
        house.app.devices.reconfigure(device_id)
    again = {f"{plugin}/{path}": text for plugin in (PLUGIN_ID, SECOND) for path, text in house.files(plugin).items()}
    return found + [f"{path} is not as its device says" for path in files if again.get(path) != files[path]]


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2, 3])
@pytest.mark.parametrize("action", ACTIONS)
def test_after_a_kill_everything_agrees(house: House, action: str, commit: int, point: str) -> None:
    write_plugin(house.plugins_folder, SECOND)
    house.host.load(house.plugins_folder / SECOND, BASE)
    house.app.configs.add(own_config("c"))
    house.app.devices.add(DEVICE)
    house.ask(phone())
    house.backend.only_stop = (len(house.backend.commits) + commit, point)
    house.backend.gate.shut()
    greenlet = gevent.spawn(ACTIONS[action], house)
    wait_until(lambda: house.backend.gate.waiting or greenlet.ready())
    house.kill(greenlet)
    house.open()
    house.wait_for_recheck()
    assert disagreements(house) == []


def test_what_was_answered_before_a_kill_is_there_after_it(house: House) -> None:
    content = house.ask(phone())
    device = house.the_device()
    house.kill()
    house.open()
    assert house.the_device() == device
    assert house.ask(phone()) == content
    assert list(house.files()) == [OWN]

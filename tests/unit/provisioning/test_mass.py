"""Work on many devices: their files made anew, their plugin changed, and that undone."""

from __future__ import annotations

import gevent
import pytest

from provd.errors import InvalidValueError, NotFoundError
from provd.model.operation import Operation, OperationCancelledError
from provd.provisioning.mass import MassVerbs, TooManyFailuresError

from ..plugins.sample import BASE_TEMPLATE, INFO, PLUGIN_ID, write, write_plugin
from .house import BASE, House, phone_number

NEW = "xivo-sample-2.0"


@pytest.fixture
def mass(house: House) -> MassVerbs:
    """Ten phones, and a newer plugin that none of them has."""
    for number in range(10):
        assert isinstance(house.ask(phone_number(number)), bytes)
    write_plugin(house.plugins_folder, NEW, info={**INFO, "version": "2.0"},
                 files={"templates/base.tpl": f"new {BASE_TEMPLATE}"})  # fmt: skip
    house.host.load(house.plugins_folder / NEW, BASE)
    return house.app.mass


def plugins(house: House) -> list[str]:
    return sorted(device["plugin"] for device in house.devices.documents())


def test_all_devices_of_a_plugin_get_another_one_and_its_files(house: House, mass: MassVerbs) -> None:
    operation = Operation("change")
    outcome = mass.change_plugin(PLUGIN_ID, NEW, operation)
    assert (len(outcome.changed), outcome.failed) == (10, {})
    assert plugins(house) == [NEW] * 10
    assert operation.current == operation.end == 10
    assert not house.files(PLUGIN_ID)
    assert len(house.files(NEW)) == 10
    answer = house.ask_quick(phone_number(3))
    assert isinstance(answer, bytes)
    assert answer.startswith(b"new ")


def test_a_phone_finds_a_file_at_any_moment(house: House, mass: MassVerbs) -> None:
    answers = []

    def keep_asking() -> None:
        while not (answers and answers[-1].startswith(b"new ")):
            answers.append(house.ask(phone_number(5)))
            gevent.sleep(0)

    asker = gevent.spawn(keep_asking)
    mass.change_plugin(PLUGIN_ID, NEW, Operation())
    asker.join(10)
    assert asker.successful(), "each answer is a file, and the last one the new one"


def test_a_dry_run_tells_who_would_fail_and_changes_nothing(house: House, mass: MassVerbs) -> None:
    write(house.plugins_folder / NEW / "var/templates/00085D000003.cfg.tpl", "{{ 1 / 0 }}")
    before = house.store.collection("devices")
    documents = list(before.documents())
    outcome = mass.change_plugin(PLUGIN_ID, NEW, Operation(), dry_run=True)
    assert len(outcome.changed) == 9
    (reason,) = outcome.failed.values()
    assert "00085D000003.cfg.tpl" in reason
    assert list(before.documents()) == documents
    assert mass.changes() == []


def test_a_device_that_the_new_plugin_cannot_configure_stays_as_it_was(house: House, mass: MassVerbs) -> None:
    write(house.plugins_folder / NEW / "var/templates/00085D000003.cfg.tpl", "{{ 1 / 0 }}")
    outcome = mass.change_plugin(PLUGIN_ID, NEW, Operation())
    assert len(outcome.changed) == 9
    assert plugins(house) == [PLUGIN_ID, *[NEW] * 9]
    assert isinstance(house.ask_quick(phone_number(3)), bytes), "its old file is still there"


def test_it_stops_when_too_many_fail(house: House, mass: MassVerbs) -> None:
    write(house.plugins_folder / NEW / "var/templates/base.tpl", "{{ nothing.at.all }}")
    operation = Operation()
    with pytest.raises(TooManyFailuresError, match=r"stopped after 3 of 10 devices.*failed for 3: device .*base.tpl"):
        mass.change_plugin(PLUGIN_ID, NEW, operation, max_failures=2)
    assert operation.result["stopped"] is True
    assert len(operation.result["failed"]) == 3
    assert plugins(house) == [PLUGIN_ID] * 10


def test_it_can_be_undone_also_after_a_restart(house: House, mass: MassVerbs) -> None:
    outcome = mass.change_plugin(PLUGIN_ID, NEW, Operation())
    house.close()
    house.open()
    (change,) = house.app.mass.changes()
    assert (change["id"], change["from"], change["to"], change["devices"]) == (outcome.change_id, PLUGIN_ID, NEW, 10)
    moved_on = house.devices.ids()[0]
    device = house.devices.get(moved_on)
    house.app.devices.change(moved_on, {**device, "plugin": None})
    undone = house.app.mass.undo(change["id"], Operation())
    assert len(undone.changed) == 9, "one has another plugin by now"
    assert sum(device["plugin"] == PLUGIN_ID for device in house.devices.documents()) == 9
    assert isinstance(house.ask_quick(phone_number(7)), bytes)


def test_an_unknown_change_cannot_be_undone(mass: MassVerbs) -> None:
    with pytest.raises(NotFoundError):
        mass.undo("nothing", Operation())


def test_only_the_last_changes_are_kept(house: House, mass: MassVerbs) -> None:
    for _ in range(15):
        mass.change_plugin(PLUGIN_ID, NEW, Operation(), device_ids=[])
        mass.change_plugin(NEW, PLUGIN_ID, Operation(), device_ids=[])
    assert len(mass.changes()) == 20


@pytest.mark.parametrize("plugin_id", ["xivo-nothing-1", "", "xivo-broken-1"])
def test_a_plugin_that_does_not_run_is_refused(house: House, mass: MassVerbs, plugin_id: str) -> None:
    write_plugin(house.plugins_folder, "xivo-broken-1", entry="1/0")
    house.host.load(house.plugins_folder / "xivo-broken-1", BASE)
    with pytest.raises(InvalidValueError, match="plugin: "):
        mass.change_plugin(PLUGIN_ID, plugin_id, Operation())


def test_what_was_cancelled_leaves_each_device_whole(house: House, mass: MassVerbs) -> None:
    operation = Operation()
    job = gevent.spawn(mass.change_plugin, PLUGIN_ID, NEW, operation)
    while not operation.current:
        gevent.sleep(0)
    operation.cancel()
    job.join(10)
    assert isinstance(job.exception, OperationCancelledError)
    assert 0 < plugins(house).count(NEW) < 10
    for number in range(10):
        assert isinstance(house.ask_quick(phone_number(number)), bytes)


def test_reconfiguring_writes_only_what_differs(house: House, mass: MassVerbs) -> None:
    files = sorted(house.root().rglob("*.cfg"))
    before = {path: path.stat().st_ino for path in files}
    outcome = mass.reconfigure(house.devices.ids(), Operation())
    assert len(outcome.changed) == 10
    assert {path: path.stat().st_ino for path in files} == before
    write(house.plugins_folder / PLUGIN_ID / "var/templates/00085D000003.cfg.tpl", "special")
    mass.reconfigure(house.devices.ids(), Operation())
    changed = [path.name for path in files if path.stat().st_ino != before[path]]
    assert changed == ["00085D000003.cfg"]


def test_a_device_that_is_removed_meanwhile_is_no_failure(house: House, mass: MassVerbs) -> None:
    ids = house.devices.ids()
    house.app.devices.remove(ids[4])
    outcome = mass.change_plugin(PLUGIN_ID, NEW, Operation(), device_ids=ids)
    assert not outcome.failed
    assert len(house.devices) == 9



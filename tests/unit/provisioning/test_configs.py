"""What can be done with configs, and that the devices which inherit from them follow."""

from __future__ import annotations

from typing import Any

import pytest

from provd.errors import AlreadyExistsError, ConflictError, InvalidValueError, NotDeletableError, NotFoundError

from ..plugins.sample import PLUGIN_ID, write
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config

DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "child"}


def config(config_id: str, *parents: str, **raw: Any) -> dict[str, Any]:
    return {"id": config_id, "parent_ids": list(parents), "raw_config": raw}


@pytest.fixture
def family(house: House) -> House:
    """`grandparent` has the line, `parent` and `child` inherit it, and the device `d` has `child`."""
    house.app.configs.add(own_config("grandparent"))
    house.app.configs.add(config("parent", "grandparent"))
    house.app.configs.add(config("child", "parent"))
    house.app.devices.add(DEVICE)
    return house


def line(username: str) -> dict[str, Any]:
    return own_config("", username)["raw_config"]


@pytest.mark.parametrize("changed", ["grandparent", "parent", "child"])
def test_a_change_reaches_the_devices_of_all_descendants(family: House, changed: str) -> None:
    stored = family.configs.get(changed)
    assert stored is not None
    failures = family.app.configs.change(changed, {**stored, "raw_config": line("changed")})
    assert failures == {}
    assert "user=changed" in family.files()[OWN]


def test_a_change_reaches_all_devices_of_a_config_and_no_other(family: House) -> None:
    family.app.configs.add(own_config("alone", "alone"))
    family.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC, "config": "alone"})
    (family.root() / OTHERS).unlink()
    family.app.devices.add({**DEVICE, "id": "f", "mac": "00:08:5d:00:00:03", "config": "parent"})
    family.app.configs.change("grandparent", own_config("grandparent", "changed"))
    assert sorted(family.files()) == [OWN, "Sample/00085D000003.cfg"]
    assert all("user=changed" in content for content in family.files().values())


def test_parents_that_inherit_from_each_other_do_no_harm(family: House) -> None:
    grandparent = {**own_config("grandparent", "round"), "parent_ids": ["child"]}
    assert family.app.configs.change("grandparent", grandparent) == {}
    assert "user=round" in family.files()[OWN]


def test_a_new_config_configures_the_devices_that_wait_for_it(house: House) -> None:
    house.app.devices.add(DEVICE)
    write(
        house.root().parent / "templates/base.tpl",
        "user={% for line in sip_lines.values() %}{{ line.username }}{% endfor %}",
    )
    house.app.configs.add(config("child", "parent"))
    assert house.files() == {OWN: "user="}
    house.app.configs.add(own_config("parent", "late"))
    assert house.files() == {OWN: "user=late"}


def test_a_config_without_an_id_is_given_one(house: House) -> None:
    config_id, failures = house.app.configs.add({"parent_ids": [], "raw_config": {}})
    assert len(config_id) == 32
    assert failures == {}
    assert house.configs.get(config_id) == {"id": config_id, "parent_ids": [], "raw_config": {}}


def test_a_second_config_of_one_id_is_refused(house: House) -> None:
    house.app.configs.add(own_config("c", "first"))
    with pytest.raises(AlreadyExistsError, match="a config with the id 'c' already"):
        house.app.configs.add(own_config("c", "second"))
    assert house.configs.get("c") == own_config("c", "first")


@pytest.mark.parametrize(
    "wrong",
    [
        {"raw_config": {}},
        {"parent_ids": [], "raw_config": []},
        {"parent_ids": "base", "raw_config": {}},
        {"parent_ids": [1], "raw_config": {}},
        {"parent_ids": [], "raw_config": {"sip_lines": {"0": {}}}},
        {"parent_ids": [], "raw_config": {"X_own": "a\nb"}},
        {"parent_ids": [], "raw_config": {}, "transient": "yes"},
        {"parent_ids": [], "raw_config": {}, "role": 7},
    ],
)
def test_wrong_configs_are_refused_and_nothing_is_stored(house: House, wrong: dict[str, Any]) -> None:
    before = house.configs.ids()
    with pytest.raises(InvalidValueError):
        house.app.configs.add(wrong)
    with pytest.raises(InvalidValueError):
        house.app.configs.change("base", wrong)
    assert house.configs.ids() == before


def test_a_change_to_the_same_writes_nothing(family: House) -> None:
    before = len(family.backend.commits)
    assert family.app.configs.change("grandparent", own_config("grandparent")) == {}
    assert len(family.backend.commits) == before


def test_a_change_on_an_old_revision_is_refused(family: House) -> None:
    old = family.configs.revision("grandparent")
    family.app.configs.change("grandparent", own_config("grandparent", "first"))
    with pytest.raises(ConflictError):
        family.app.configs.change("grandparent", own_config("grandparent", "second"), old)
    assert "user=first" in family.files()[OWN]


def test_a_change_that_expects_nothing_there_is_refused(family: House) -> None:
    with pytest.raises(ConflictError):
        family.app.configs.change("grandparent", own_config("grandparent", "new"), 0)


def test_the_failures_are_told_by_device_and_the_change_is_kept(family: House) -> None:
    without_password = {"sip_lines": {"1": {"username": "u", "display_name": "x", "proxy_ip": "192.0.2.10"}}}
    failures = family.app.configs.change("grandparent", {**own_config("grandparent"), "raw_config": without_password})
    assert list(failures) == ["d"]
    assert "sip_lines.1.password: missing" in failures["d"]
    assert family.the_device()["configure_error"] == failures["d"]
    assert "user=u1" in family.files()[OWN]


def test_one_device_that_fails_does_not_keep_the_others_from_following(family: House) -> None:
    write(family.root().parent / "templates/00085D000001.cfg.tpl", "{{ broken")
    family.app.devices.add({**DEVICE, "id": "e", "mac": OTHER_MAC})
    failures = family.app.configs.change("grandparent", own_config("grandparent", "changed"))
    assert list(failures) == ["d"]
    assert "user=u1" in family.files()[OWN]
    assert "user=changed" in family.files()[OTHERS]


def test_unknown_configs_are_not_found(house: House) -> None:
    with pytest.raises(NotFoundError, match="there is no config 'nobody'"):
        house.app.configs.change("nobody", own_config("nobody"))
    with pytest.raises(NotFoundError, match="there is no config 'nobody'"):
        house.app.configs.remove("nobody")


def test_a_config_that_is_not_deletable_stays(house: House) -> None:
    with pytest.raises(NotDeletableError, match="'autoprov' cannot be removed: deletable is false"):
        house.app.configs.remove("autoprov")
    assert "autoprov" in house.configs


def test_devices_of_a_removed_config_lose_their_files_and_are_told_why(family: House) -> None:
    assert family.app.configs.remove("child") == {"d": "the config 'child' does not exist"}
    assert family.files() == {}
    assert family.the_device()["configured"] is False
    assert len(family.renderings) == 0


def test_devices_that_inherited_from_a_removed_config_are_made_anew(family: House) -> None:
    family.app.configs.change("child", {**config("child", "parent"), "raw_config": line("of the child")})
    family.app.configs.change("parent", {**config("parent", "grandparent"), "raw_config": {"ip": "192.0.2.99"}})
    assert family.files()[OWN].endswith("at=192.0.2.99")
    assert family.app.configs.remove("parent") == {}
    assert family.files()[OWN].endswith("user=of the child at=192.0.2.10")
    assert family.the_device()["configured"] is True


def test_nulls_of_device_configs_are_left_out(house: House) -> None:
    house.app.configs.add({**own_config("c"), "X_type": "device", "X_own": {"a": None, "b": 1}})
    stored = house.configs.get("c")
    assert stored is not None
    assert stored["X_own"] == {"b": 1}

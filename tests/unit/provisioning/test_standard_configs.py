"""The configs that a system begins with, and those that are made for new phones."""

from __future__ import annotations

from typing import Any

import pytest

from provd.model.config import check_config, flatten
from provd.model.raw_config import prepare_raw_config
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.standard_configs import standard_configs
from provd.store.collection import Collection, encode_document
from provd.store.schema import CONFIGS, SCHEMA

from .house import BASE, House, own_config, phone

SERVER = "192.0.2.10"


def by_id() -> dict[str, dict[str, Any]]:
    return {config["id"]: config for config in standard_configs(SERVER)}


def collection(*configs: dict[str, Any]) -> Collection:
    found = Collection(CONFIGS, SCHEMA[CONFIGS])
    for revision, config in enumerate(configs, 1):
        found.apply(config["id"], encode_document(config), revision, found.keys_of(config))
    return found


def test_they_are_the_four_that_every_system_has() -> None:
    configs = by_id()
    assert list(configs) == ["base", "default", "defaultconfigdevice", "autoprov"]
    assert {name: config["X_type"] for name, config in configs.items()} == {
        "base": "internal", "default": "registrar", "defaultconfigdevice": "device", "autoprov": "internal",
    }  # fmt: skip
    assert all(config["deletable"] is False for config in configs.values())
    assert [check_config(config) for config in configs.values()] == list(configs.values())


def test_their_values() -> None:
    configs = by_id()
    assert configs["base"]["raw_config"] == {
        "ntp_enabled": True, "ntp_ip": SERVER, "X_xivo_phonebook_ip": SERVER,
    }  # fmt: skip
    default = configs["default"]
    assert (default["displayname"], default["proxy_main"], default["registrar_main"]) == ("local", SERVER, SERVER)
    assert "X_key" in default["raw_config"]
    device = configs["defaultconfigdevice"]
    assert device["label"] == "Default config device"
    assert {key: device["raw_config"][key] for key in ("ntp_enabled", "admin_username", "user_username")} == {
        "ntp_enabled": True, "admin_username": "admin", "user_username": "user",
    }  # fmt: skip
    autoprov = configs["autoprov"]
    assert (autoprov["role"], autoprov["parent_ids"]) == ("autocreate", ["base", "defaultconfigdevice"])
    line = autoprov["raw_config"]["sip_lines"]["1"]
    assert (line["display_name"], line["number"]) == ("Autoprov", "autoprov")
    assert (line["proxy_ip"], line["registrar_ip"]) == (SERVER, SERVER)
    assert line["username"].startswith("ap")
    assert len(line["username"]) == 10
    assert autoprov["raw_config"]["sccp_call_managers"] == {"1": {"ip": SERVER}}


def test_credentials_are_long_and_other_ones_each_time() -> None:
    seen = set()
    for configs in (by_id() for _ in range(20)):
        device, line = configs["defaultconfigdevice"]["raw_config"], configs["autoprov"]["raw_config"]["sip_lines"]["1"]
        secrets = [device["admin_password"], device["user_password"], line["username"], line["password"]]
        assert [len(secret) for secret in secrets] == [16, 16, 10, 8]
        assert all(secret.isascii() and secret.isalnum() for secret in secrets)
        seen.update(secrets)
    assert len(seen) == 80


def test_a_new_phones_config_is_complete() -> None:
    configs = by_id()
    derived = AutoprovConfigs(collection(*configs.values())).derive()
    assert derived is not None
    configs[derived["id"]] = derived
    prepared = prepare_raw_config(flatten(derived["id"], configs.get, BASE) or {})
    line = prepared["sip_lines"]["1"]
    assert line["username"] == line["auth_username"] == derived["raw_config"]["sip_lines"]["1"]["username"]
    assert line["username"].startswith(configs["autoprov"]["raw_config"]["sip_lines"]["1"]["username"])
    assert prepared["admin_password"] == configs["defaultconfigdevice"]["raw_config"]["admin_password"]


def test_an_empty_store_is_given_them_once(house: House) -> None:
    before = {config["id"]: config for config in house.configs.documents()}
    assert list(before) == list(by_id())
    house.close()
    house.open()
    assert {config["id"]: config for config in house.configs.documents()} == before


def test_a_store_with_devices_alone_is_left_alone(house: House) -> None:
    for config_id in house.configs.ids():
        config = house.configs.get(config_id)
        assert config is not None
        house.app.configs.change(config_id, {**config, "deletable": True})
        house.app.configs.remove(config_id)
    house.app.devices.add({"id": "d"})
    house.close()
    house.open()
    assert house.configs.ids() == []


# --- for new phones


def test_a_derived_config_has_a_user_name_of_its_own_and_nothing_else() -> None:
    derived = AutoprovConfigs(collection(own_config("template", "ap", role="autocreate", deletable=False))).derive()
    assert derived is not None
    number = derived["id"].removeprefix("autoprov")
    assert number.isdecimal()
    assert derived == {
        "id": f"autoprov{number}",
        "parent_ids": ["template"],
        "raw_config": {"sip_lines": {"1": {"username": f"ap{number}"}}},
        "transient": True,
    }


def test_ids_and_user_names_differ_also_across_restarts(house: House) -> None:
    ids, users = [], []
    for start in range(4):
        for number in range(5):
            mac = f"00:08:5d:00:{start:02x}:{number:02x}"
            house.ask(phone("common.cfg", mac=mac, address=f"192.0.{start}.{number + 1}"))
        house.close()
        house.open()
    for device in house.devices.documents():
        config = house.configs.get(device["config"])
        assert config is not None
        ids.append(config["id"])
        users.append(config["raw_config"]["sip_lines"]["1"]["username"])
    assert len(set(ids)) == len(set(users)) == 20


@pytest.mark.parametrize(
    "configs",
    [
        [],
        [own_config("c", role="default")],
        [{"id": "c", "parent_ids": [], "raw_config": {}, "role": "autocreate"}],
        [{"id": "c", "parent_ids": [], "raw_config": {"sip_lines": {"2": {"username": "x"}}}, "role": "autocreate"}],
        [{"id": "c", "parent_ids": [], "raw_config": {"sip_lines": {"1": {"number": "x"}}}, "role": "autocreate"}],
        [{"id": "c", "parent_ids": [], "raw_config": {"sip_lines": None}, "role": "autocreate"}],
    ],
)
def test_without_a_template_nothing_is_derived(configs: list[dict[str, Any]]) -> None:
    autoprov = AutoprovConfigs(collection(*configs))
    assert autoprov.derive() is None
    assert not autoprov.available


def test_the_first_template_with_a_line_counts() -> None:
    empty = {"id": "a", "parent_ids": [], "raw_config": {}, "role": "autocreate"}
    templates = [empty, own_config("b", "first", role="autocreate"), own_config("c", "second", role="autocreate")]
    derived = AutoprovConfigs(collection(*templates)).derive()
    assert derived is not None
    assert derived["parent_ids"] == ["b"]

"""Which file a phone gets, and what the security log says of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import Problem
from provd.store.collection import Collection

from ..plugins.sample import ENTRY, PLUGIN_ID, write, write_plugin
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, Reply, own_config, phone, phone_number

BASE = {"ip": "192.0.2.10"}


@pytest.fixture
def two(house: House) -> House:
    """Two configured phones; the first, at 192.0.2.101, is the one that asks."""
    for device_id, mac in (("one", MAC), ("two", OTHER_MAC)):
        house.app.configs.add(own_config(device_id, f"user of {device_id}"))
        device = {"id": device_id, "mac": mac, "model": "S100", "plugin": PLUGIN_ID, "config": device_id}
        house.app.devices.add(device)
    house.ask(phone("nothing"))
    (house.folder / "security.log").write_bytes(b"")
    return house


@pytest.fixture(autouse=True)
def _no_descriptor_is_left(house: House) -> Iterator[None]:
    yield
    open_files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert [path for path in open_files if path.startswith(f"{house.plugins_folder}/")] == []


def line(name: str, owner: str, device_id: str = "one") -> str:
    return f'Sensitive file requested from 192.0.2.101: "{name}" owner={owner} device={device_id}'


def load_again(house: House, entry: str) -> None:
    """Change the plugin's code and load it, as after an upgrade."""
    write(house.plugins_folder / PLUGIN_ID / "entry.py", entry)
    house.host.load(house.plugins_folder / PLUGIN_ID, BASE)


def own_content(house: House) -> Reply:
    return (house.root() / OWN).read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        OWN,
        f"/{OWN}",
        f"//{OWN}",
        "00085D000001.cfg",
        "00085d000001.cfg",
        "sample/00085d000001.CFG",
        "Sample/Sample/00085D000001.cfg",
        "any/where/00085D000001.cfg",
        "./Sample/./00085D000001.cfg",
    ],
)
def test_a_phones_own_file_is_found_wherever_it_looks(two: House, path: str) -> None:
    assert two.ask(phone(path)) == own_content(two)
    assert two.security_lines() == [line("00085D000001.cfg", "known")]


@pytest.mark.parametrize("path", ["common.cfg", "Sample/common.cfg", "other/common.cfg", "/common.cfg"])
def test_a_shared_file_is_found_beside_the_phones_own(two: House, path: str) -> None:
    assert two.ask(phone(path)) == b"server=192.0.2.10"
    assert two.security_lines() == []


@pytest.mark.parametrize(
    "path", [OTHERS, f"//{OTHERS}", "Sample/./00085D000002.cfg", "00085D000002.cfg", "any/where/00085D000002.cfg"]
)
def test_another_devices_file_is_refused_and_noted(two: House, path: str) -> None:
    assert two.ask(phone(path)) is Problem.NOT_FOUND
    assert two.security_lines() == [line("00085D000002.cfg", "other")]


def test_a_sensitive_file_that_nobody_has_is_noted(two: House) -> None:
    assert two.ask(phone("Sample/00085D000003.cfg")) is Problem.NOT_FOUND
    assert two.security_lines() == [line("00085D000003.cfg", "none")]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nothing.cfg", Problem.NOT_FOUND),
        ("Sample", Problem.DIRECTORY),
        ("", Problem.DIRECTORY),
        ("../../plugin-info", Problem.BAD_NAME),
        ("a\0b", Problem.BAD_NAME),
        ("x" * 2000, Problem.NAME_TOO_LONG),
        (".provd-0123456789abcdef", Problem.NOT_FOUND),
        ("Sample/.provd-0123456789abcdef", Problem.NOT_FOUND),
    ],
)
def test_what_is_no_file_is_told_and_not_noted(two: House, path: str, problem: Problem) -> None:
    write(two.root() / "Sample/.provd-0123456789abcdef", "left by a crash")
    assert two.ask(phone(path)) is problem
    assert two.security_lines() == []


def test_the_file_of_a_phone_behind_an_unknown_address_is_its_own(two: House) -> None:
    assert two.ask(TftpRequest("192.0.2.101", OWN)) == own_content(two)
    assert two.security_lines() == [line("00085D000001.cfg", "known")]


ONLY_SENSITIVE = """
from provd.plugins.api import Plugin


class Knowing(Plugin):
    IS_PLUGIN = True

    def is_sensitive(self, path):
        return path.endswith(".key")
"""


def test_sensitive_files_that_nobody_in_particular_asks_for_are_noted(house: House) -> None:
    write_plugin(house.plugins_folder, "xivo-knowing-1.0", entry=ONLY_SENSITIVE)
    house.host.load(house.plugins_folder / "xivo-knowing-1.0", BASE)
    assert house.ask(HttpRequest("192.0.2.101", "any/server.key")) is Problem.NO_PLUGIN
    assert house.security_lines() == [line("server.key", "none", "-")]


def test_a_device_without_a_plugin_that_asks_for_anothers_file_is_noted(two: House) -> None:
    two.app.devices.add({"id": "three", "ip": "192.0.2.101"})
    two.app.devices.remove("one")
    request = HttpRequest("192.0.2.101", OTHERS.replace("cfg", "key"))
    load_again(
        two, ENTRY.replace('File(f"Sample/{name}.cfg"', 'File(f"Sample/{name}.key"').replace("own else", "0 else")
    )
    two.app.devices.reconfigure("two")
    assert two.ask(request) is Problem.NO_PLUGIN
    assert two.security_lines() == [line("00085D000002.key", "other", "three")]


def test_nobody_can_write_lines_of_his_own_into_the_security_log(two: House) -> None:
    entry = ENTRY.replace("return OWN_FILE.fullmatch(path) is not None", "return True")
    load_again(two, entry)
    two.ask(phone('x" owner=known\n[2026-01-01 00:00:00,000] New device created automatically from 192.0.2.99: é'))
    (only,) = two.security_lines()
    assert only.startswith(r'Sensitive file requested from 192.0.2.101: "x\x22 owner=known\x0a[2026-01-01')
    assert only.endswith(r'\xc3\xa9" owner=none device=one')


# --- where the plugin cannot be asked, or is not asked


def test_anothers_file_is_refused_also_while_the_plugin_does_not_load(two: House) -> None:
    load_again(two, "1 / 0")
    assert two.ask(phone(OTHERS)) is Problem.NOT_FOUND
    assert two.security_lines() == [line("00085D000002.cfg", "other")]


def test_anothers_file_is_refused_also_if_the_plugin_cannot_say_whether_it_is_sensitive(two: House) -> None:
    load_again(two, ENTRY.replace("return OWN_FILE.fullmatch(path) is not None", "return 1 / 0"))
    assert two.ask(phone(OTHERS)) is Problem.NOT_FOUND
    assert two.security_lines() == [line("00085D000002.cfg", "other")]


def test_anothers_file_that_was_declared_sensitive_is_refused(two: House) -> None:
    load_again(two, ENTRY.replace("return OWN_FILE.fullmatch(path) is not None", "return False"))
    assert two.ask(phone(OTHERS)) is Problem.NOT_FOUND
    assert two.security_lines() == [line("00085D000002.cfg", "other")]


def test_anothers_file_is_refused_also_through_a_link(two: House) -> None:
    (two.root() / "old-name").symlink_to("Sample")
    assert two.ask(phone("old-name/00085D000002.cfg")) is Problem.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("00085D000001.key", "known"),
        ("00085d000001.key", "known"),
        ("00085D000002.key", "other"),
        ("00085d000002.cfg", "other"),
        ("elsewhere/00085d000002.cfg", "other"),
        ("00085D000003.key", "none"),
    ],
)
def test_a_file_of_a_phone_that_is_not_there_is_still_that_phones(two: House, name: str, owner: str) -> None:
    """A phone asks for more files than it has; only who asks for other phones' files tries names."""
    assert two.ask(phone(name)) is Problem.NOT_FOUND
    assert two.security_lines() == [line(name.rpartition("/")[2], owner)]


@pytest.mark.parametrize("name", [OWN, "00085d000001.cfg", "00085D000001.key"])
def test_who_is_nobody_is_told_apart_from_a_phone_by_whose_the_file_is(two: House, name: str) -> None:
    load_again(two, ENTRY.replace("return self.identify_tftp(request)", "return None"))
    stranger = HttpRequest("192.0.2.200", name)
    assert two.ask(stranger) is Problem.NO_PLUGIN
    (only,) = two.security_lines()
    assert only.endswith("owner=other device=-")


def test_a_file_of_many_devices_costs_no_more_than_one_of_few(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ENTRY.replace('File(f"Sample/{name}.cfg",', 'File("Sample/shared.cfg",')
    load_again(house, entry.replace("return OWN_FILE.fullmatch(path) is not None", "return False"))
    for number in range(50):
        house.ask(phone_number(number, "Sample/shared.cfg"))
    last = phone_number(49, "Sample/shared.cfg")
    looked_at: list[str] = []
    get, find = Collection.get, Collection.find
    monkeypatch.setattr(Collection, "get", lambda self, each: looked_at.append(each) or get(self, each))
    monkeypatch.setattr(Collection, "find", lambda self, *key: looked_at.extend(found := find(self, *key)) or found)
    assert house.ask_quick(last)
    assert len(looked_at) < 10
    assert house.security_lines()[-1].partition(": ")[2].startswith('"shared.cfg" owner=known')


# --- names that a phone's own MAC address stands in


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("00085D000001-phone.cfg", "known"),
        ("sample100-00085d000001.htm", "known"),
        ("SEP00085D000001.cnf.xml.sgn", "known"),
        ("00085D000002-phone.cfg", "none"),
        ("0085D000001.cfg", "none"),
        ("00085D000002.htm", "other"),
    ],
)
def test_a_name_of_nobody_with_the_askers_mac_address_is_the_askers(two: House, name: str, owner: str) -> None:
    load_again(two, ENTRY.replace("return OWN_FILE.fullmatch(path) is not None", "return True"))
    assert two.ask(phone(f"Sample/{name}")) is Problem.NOT_FOUND
    assert two.security_lines() == [line(name, owner)]


def test_so_it_is_for_a_device_without_a_plugin(two: House) -> None:
    two.app.devices.add({"id": "bare", "mac": "00:08:5d:00:00:09", "ip": "192.0.2.101", "plugin": "xivo-gone-1"})
    device = two.devices.get("bare")
    assert device is not None
    service = two.app.phones._files
    for name in ("00085D000009.cfg", "00085D000008.cfg"):
        assert service.serve(TftpRequest("192.0.2.101", name), device) is Problem.NO_PLUGIN
    assert two.security_lines("Sensitive") == [
        line("00085D000009.cfg", "known", "bare"), line("00085D000008.cfg", "none", "bare")
    ]  # fmt: skip

"""Many phones at once: behind one address, never seen before beside known ones, and made up."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from provd.store.schema import CONFIGS, DEVICES, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction
from tests.integration.clients import config_name, http_get, user_agent
from tests.integration.crowd import Phone, boot_together
from tests.integration.server import AASTRA, RunningServer
from tests.unit.plugins.sample import ENTRY, INFO, write_plugin

Start = Callable[..., RunningServer]
LIMIT_S = 60.0
"""How long a crowd may take on a busy machine before the test gives up."""


def mac(number: int, oui: str = "00:08:5d") -> str:
    return f"{oui}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def address(number: int) -> str:
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def aastra(number: int, *, by_tftp: bool = False) -> Phone:
    """The n-th Aastra phone, which asks for its own file."""
    own = f"Aastra/{config_name(mac(number))}"
    return Phone(address(number), own, "" if by_tftp else user_agent(mac(number)))


def write_brand(folder: Path, brand: str) -> None:
    """A plugin for the phones of a brand of ours, which recognises nobody else's."""
    entry = ENTRY.replace("(?:.*/)?", "Sample/").replace("Sample", brand)
    info = {**INFO, "vendor": brand, "models": {"S100": {"lines": 2, "behind_nat": True}}}
    write_plugin(folder, f"xivo-{brand.lower()}-1.0", entry=entry, info=info)


def own_mac(content: bytes | None) -> str | None:
    """The MAC address that stands in a file of one of our brands."""
    match = re.match(rb"mac=(\S+)", content or b"")
    return match[1].decode() if match else None


def test_two_hundred_phones_of_three_brands_boot_at_once_behind_one_address(
    start_server: Start, tmp_path: Path
) -> None:
    plugins = tmp_path / "server0/lib/plugins"
    plugins.mkdir(parents=True)
    for brand in ("Beta", "Gamma"):
        write_brand(plugins, brand)
    server = start_server(settings="[general]\nnat = true\n")
    nat, phones = "127.0.0.77", {}
    for number in range(200):
        own, by_tftp = mac(number, f"02:00:0{number % 3}"), number % 2
        if number % 3 == 0:
            own = mac(number)
            phones[own] = Phone(nat, f"Aastra/{config_name(own)}", "" if by_tftp else user_agent(own))
        else:
            brand = ("Beta", "Gamma")[number % 3 - 1]
            path = f"{brand}/{config_name(own)}"
            phones[own] = Phone(nat, path, "" if by_tftp else f"{brand} S100 {own} 1.0")
    for _ in range(2):
        boot_together(server.http_port, server.tftp_port, list(phones.values()), LIMIT_S)
        for own, phone in phones.items():
            assert phone.content, f"{phone.path} {server.log()[-2000:]}"
            if phone.path.startswith("Aastra"):
                assert phone.content == (server.tftpboot() / phone.path).read_bytes()
            else:
                assert own_mac(phone.content) == own
        phones = {own: Phone(nat, phone.path, phone.agent) for own, phone in phones.items()}
    devices = server.devices()
    assert Counter(device["mac"] for device in devices) == Counter(list(phones)), "each has one record"
    assert {device["ip"] for device in devices} == {nat}
    assert Counter(device["vendor"] for device in devices) == {"Aastra": 67, "Beta": 67, "Gamma": 66}


@pytest.fixture
def crowded(start_server: Start) -> Callable[..., RunningServer]:
    """Starts a server that knows many phones already."""

    def start(devices: int, **options: object) -> RunningServer:
        server = start_server(**options)
        assert server.stop() == 0
        seed(server.state / "lib/provd.db", range(devices))
        server.start()
        return server

    return start


def seed(path: Path, numbers: Sequence[int]) -> None:
    """Put known phones into the store of a server that has stopped."""
    store = Store(SqliteBackend(path), SCHEMA)
    try:
        transaction = Transaction()
        for number in numbers:
            config = {"id": f"seeded{number}", "parent_ids": ["autoprov"], "raw_config": {}, "transient": True}
            transaction.put(CONFIGS, config["id"], config, 0)
            device = {
                "id": f"known{number}", "added": "auto", "mac": mac(number), "ip": address(number), "vendor": "Aastra",
                "model": "6731i", "version": "3.3.1.4305", "plugin": AASTRA, "config": config["id"], "configured": True,
            }  # fmt: skip
            transaction.put(DEVICES, device["id"], device, 0)
        store.commit(transaction)
    finally:
        store.close()


@pytest.mark.parametrize("by_tftp", [False, True])
def test_a_thousand_phones_never_seen_beside_ten_thousand_known_ones_are_all_served(
    crowded: Callable[..., RunningServer], by_tftp: bool
) -> None:
    server = crowded(10_000)
    phones = [aastra(20_000 + number, by_tftp=by_tftp) for number in range(1000)]
    boot_together(server.http_port, server.tftp_port, phones, LIMIT_S)
    unserved = [phone for phone in phones if phone.content is None]
    assert not unserved, f"{len(unserved)} of 1,000; {server.status()}"
    slowest = max(phone.seconds for phone in phones)
    print(f"the last of 1,000 new phones was served after {slowest:.1f} s")
    assert server.status()["counts"]["new_devices"] == 1000
    assert len({phone.content for phone in phones}) == 1000, "each has its own account"


def test_a_flood_of_made_up_phones_is_bounded_and_known_phones_are_served(
    crowded: Callable[..., RunningServer]
) -> None:
    limits = "[admission]\nburst = 50\nper_minute = 60\naddress_burst = 5\naddress_per_minute = 1\nmax_unclaimed = 80\n"
    server = crowded(100, settings=limits)
    before = server.memory_kb()
    for wave in range(8):
        made_up = [aastra(100_000 + wave * 500 + number, by_tftp=number % 5 != 0) for number in range(500)]
        boot_together(server.http_port, server.tftp_port, made_up, 1.5)
        agent = user_agent(mac(wave))
        known = http_get(server.http_port, "/Aastra/aastra.cfg", source=address(wave), agent=agent)
        assert known.status == 200
    status = server.status()
    assert 50 <= status["counts"]["new_devices"] <= 80, "the burst, and one a second"
    assert status["admission"]["unclaimed_devices"] <= 80
    assert sum(status["admission"]["refused"].values()) > 2000
    assert len(server.devices()) == 100 + status["counts"]["new_devices"]
    refused = [line for line in server.security_lines() if "New device refused from" in line]
    assert 0 < len(refused) < 2000, "told, but not each time"
    assert server.memory_kb() - before < 30_000


def test_one_address_that_makes_phones_up_is_refused_for_itself(start_server: Start) -> None:
    server = start_server(settings="[admission]\naddress_burst = 5\naddress_per_minute = 1\n")
    macs = [mac(number) for number in range(40)]
    wicked = [Phone("127.0.0.66", f"Aastra/{config_name(each)}", user_agent(each)) for each in macs]
    boot_together(server.http_port, server.tftp_port, wicked, LIMIT_S)
    assert sum(phone.content is not None for phone in wicked) in (5, 6)
    assert server.status()["admission"]["refused"] == {"address": 40 - len(server.devices())}
    assert any(line.endswith("New device refused from 127.0.0.66: address") for line in server.security_lines())
    agent = user_agent(mac(99))
    honest = http_get(server.http_port, f"/Aastra/{config_name(mac(99))}", source="127.0.0.9", agent=agent)
    assert honest.status == 200

"""A phone boots for the first time, and again."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.integration.clients import CONFIG, MAC, USER_AGENT, config_name, http_get, tftp_curl, user_agent
from tests.integration.server import AASTRA, RunningServer

STAMP = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "


def test_a_phone_never_seen_becomes_a_device_with_an_account_of_its_own(server: RunningServer) -> None:
    answer = http_get(server.http_port, "/Aastra/aastra.cfg", source="127.0.0.9")
    assert answer.status == 200
    assert answer.body.strip()
    own_file = server.tftpboot() / "Aastra" / CONFIG
    assert own_file.exists(), "the phone's own file exists before the answer is sent"
    (device,) = server.devices()
    config_id = device["config"]
    assert device == {
        "id": device["id"],
        "added": "auto",
        "vendor": "Aastra",
        "model": "6731i",
        "version": "3.3.1.4305",
        "mac": MAC,
        "ip": "127.0.0.9",
        "plugin": AASTRA,
        "config": config_id,
        "configured": True,
        "last_contact": datetime.now(UTC).date().isoformat(),
    }
    assert re.fullmatch(r"[0-9a-f]{32}", device["id"])
    assert re.fullmatch(r"autoprov\d+", config_id)

    answer = http_get(server.http_port, f"/Aastra/{CONFIG}", source="127.0.0.9")
    assert answer.status == 200
    assert answer.body == own_file.read_bytes()
    configs = server.configs()
    account = configs["autoprov"]["raw_config"]["sip_lines"]["1"]
    username = f"{account['username']}{config_id.removeprefix('autoprov')}"
    assert configs[config_id] == {
        "id": config_id,
        "parent_ids": ["autoprov"],
        "raw_config": {"sip_lines": {"1": {"username": username}}},
        "transient": True,
    }
    text = answer.body.decode()
    assert f"sip line1 user name: {username}\n" in text
    assert f"sip line1 password: {account['password']}\n" in text
    assert f"sip line1 proxy ip: {account['proxy_ip']}\n" in text

    created, requested = server.security_lines()
    assert re.fullmatch(STAMP + f"New device created automatically from 127.0.0.9: {device['id']}", created)
    assert re.fullmatch(
        STAMP + f'Sensitive file requested from 127.0.0.9: "{CONFIG}" owner=known device={device["id"]}', requested
    )
    status = server.status()
    assert status["counts"] == {"devices": 1, "unconfigured": 0, "configs": 5, "plugins": 1, "new_devices": 1}
    assert status["last_error"] is None
    for secret in (account["password"], configs["defaultconfigdevice"]["raw_config"]["admin_password"]):
        assert secret not in server.log()


def test_the_same_works_by_tftp_where_the_name_tells_which_phone_asks(server: RunningServer) -> None:
    for name in (f"Aastra/{CONFIG}", CONFIG, f"/{CONFIG}"):
        content = tftp_curl(server.tftp_port, name, source="127.0.0.9")
        assert content == (server.tftpboot() / "Aastra" / CONFIG).read_bytes()
    (device,) = server.devices()
    assert (device["vendor"], device["mac"], device["ip"]) == ("Aastra", MAC, "127.0.0.9")
    assert device["configured"] is True
    assert len(server.security_lines()) == 4
    assert tftp_curl(server.tftp_port, "aastra.cfg", source="127.0.0.9"), "now known by its address"


def test_a_second_boot_writes_nothing_and_renders_nothing(server: RunningServer) -> None:
    def boot() -> None:
        assert http_get(server.http_port, "/Aastra/aastra.cfg").status == 200
        assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200
        assert tftp_curl(server.tftp_port, CONFIG)

    boot()
    revisions = server.revisions()
    own_file = (server.tftpboot() / "Aastra" / CONFIG).stat()
    boot()
    assert server.revisions() == revisions
    assert (server.tftpboot() / "Aastra" / CONFIG).stat().st_mtime_ns == own_file.st_mtime_ns
    assert (server.tftpboot() / "Aastra" / CONFIG).stat().st_ino == own_file.st_ino


def test_parallel_first_requests_of_one_phone_make_one_device(server: RunningServer) -> None:
    paths = ["/Aastra/aastra.cfg", f"/Aastra/{CONFIG}", "/Aastra/6731i.cfg", f"/{CONFIG}"] * 8
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = list(pool.map(lambda path: (path, http_get(server.http_port, path).status), paths))
    assert {(path, status) for path, status in answers if "6731i.cfg" not in path} == {
        ("/Aastra/aastra.cfg", 200),
        (f"/Aastra/{CONFIG}", 200),
        (f"/{CONFIG}", 200),
    }
    assert len(server.devices()) == 1
    assert sum(config_id.startswith("autoprov1") for config_id in server.configs()) == 1
    assert sum("New device" in line for line in server.security_lines()) == 1


def test_phones_that_boot_together_each_get_their_own_account(server: RunningServer) -> None:
    macs = [f"00:08:5d:00:00:{number:02x}" for number in range(40)]

    def boot(mac: str) -> bytes:
        source = f"127.0.1.{int(mac[-2:], 16) + 1}"
        return http_get(
            server.http_port, f"/Aastra/{config_name(mac)}", agent=user_agent(mac), source=source
        ).body

    with ThreadPoolExecutor(20) as pool:
        files = list(pool.map(boot, macs))
    users = [re.search(rb"sip line1 user name: (\S+)", content)[1] for content in files]
    assert len(set(users)) == len(macs)
    assert {device["mac"] for device in server.devices()} == set(macs)


def test_a_phone_that_moves_takes_its_new_address_with_it(server: RunningServer) -> None:
    other = "00:08:5d:00:00:01"
    http_get(server.http_port, "/Aastra/aastra.cfg", source="127.0.0.5")
    http_get(server.http_port, "/Aastra/aastra.cfg", source="127.0.0.6", agent=user_agent(other))
    http_get(server.http_port, "/Aastra/aastra.cfg", source="127.0.0.6")
    addresses = {device["mac"]: device.get("ip") for device in server.devices()}
    assert addresses == {MAC: "127.0.0.6", other: None}


def test_a_new_firmware_version_is_noted_and_the_file_made_again(server: RunningServer) -> None:
    template = server.plugin_folder() / "var" / "templates" / "base.tpl"
    http_get(server.http_port, "/Aastra/aastra.cfg")
    template.write_text("# changed")
    http_get(server.http_port, "/Aastra/aastra.cfg", agent=USER_AGENT.replace("4305", "4365"))
    (device,) = server.devices()
    assert device["version"] == "3.3.1.4365"
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").body == b"# changed"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/Aastra/aastra.cfg", "/Aastra/startup.cfg", "/a/b/c"])
def test_a_request_that_tells_nothing_of_a_phone_makes_no_device(server: RunningServer, path: str) -> None:
    answer = http_get(server.http_port, path, agent="Mozilla/5.0 (X11; Linux x86_64)", source="127.0.0.77")
    assert answer.status in (403, 404)
    assert server.devices() == []
    assert server.security_lines() == []


def test_harvesting_leaves_a_line_for_each_name_that_belongs_to_nobody(server: RunningServer) -> None:
    names = [f"AABBCC0000{number:02X}.cfg" for number in range(3)]
    for name in names:
        answer = http_get(server.http_port, f"/Aastra/{name}", agent="curl", source="127.0.0.66")
        assert answer.status == 404
    assert server.devices() == []
    assert [line.partition("] ")[2] for line in server.security_lines()] == [
        f'Sensitive file requested from 127.0.0.66: "{name}" owner=none device=-' for name in names
    ]


def test_a_phone_does_not_get_the_file_of_another(server: RunningServer) -> None:
    other = "00:08:5d:00:00:01"
    http_get(server.http_port, "/Aastra/aastra.cfg", agent=user_agent(other), source="127.0.0.5")
    answer = http_get(server.http_port, f"/Aastra/{config_name(other)}", source="127.0.0.6")
    assert answer.status == 404
    assert "owner=other" in server.security_lines()[-1]

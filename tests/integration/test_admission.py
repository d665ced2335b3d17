"""Somebody makes phones up: the server's limits, and that its known phones do not notice."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.clients import CONFIG, MAC, TftpPhone, config_name, http_get, tftp_curl, user_agent
from tests.integration.server import RunningServer, wait_until

STRANGER = "127.0.0.66"
Start = Callable[..., RunningServer]


def mac_of(number: int) -> str:
    return f"00:08:5d:00:01:{number:02x}"


def boot(server: RunningServer, number: int, source: str = STRANGER) -> int:
    """A made-up phone asks; returns the status."""
    return http_get(server.http_port, "/Aastra/aastra.cfg", source=source, agent=user_agent(mac_of(number))).status


def refusals(server: RunningServer) -> list[str]:
    return [line.partition("] ")[2] for line in server.security_lines() if "refused" in line]


def test_an_address_may_make_so_many_devices_and_known_phones_do_not_notice(start_server: Start) -> None:
    server = start_server(settings="[admission]\naddress_burst = 3\naddress_per_minute = 1\n")
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200
    assert [boot(server, number) for number in range(5)] == [200] * 3 + [503] * 2
    assert len(server.devices()) == 4
    assert server.status()["admission"] == {"unclaimed_devices": 4, "refused": {"address": 2}}
    assert set(refusals(server)) == {f"New device refused from {STRANGER}: address"}

    answer = http_get(
        server.http_port, f"/Aastra/{config_name(mac_of(9))}", source=STRANGER, agent=user_agent(mac_of(9))
    )
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    with TftpPhone(server.tftp_port, STRANGER) as phone:
        phone.ask(config_name(mac_of(9)))
        assert phone.receive(0.1) is None, "by TFTP there is no answer"
    for source in ("127.0.0.1", STRANGER):
        assert http_get(server.http_port, f"/Aastra/{CONFIG}", source=source).status == 200
    assert tftp_curl(server.tftp_port, config_name(mac_of(0)), source=STRANGER)
    assert boot(server, 9, "127.0.0.67") == 200, "another address"


@pytest.mark.parametrize(
    ("settings", "limit"), [("burst = 2\nper_minute = 1", "total"), ("max_unclaimed = 2", "full")]
)
def test_the_limits_of_all_together(start_server: Start, settings: str, limit: str) -> None:
    server = start_server(settings=f"[admission]\n{settings}\n")
    assert [boot(server, number, f"127.0.1.{number}") for number in range(1, 4)] == [200, 200, 503]
    assert refusals(server) == [f"New device refused from 127.0.1.3: {limit}"]
    assert boot(server, 1, "127.0.1.3") == 200, "it is known"


def test_limits_are_raised_without_a_restart(start_server: Start) -> None:
    server = start_server(settings="[admission]\naddress_burst = 1\naddress_per_minute = 1\n")
    assert [boot(server, number) for number in range(2)] == [200, 503]
    (server.state / "conf.d").mkdir()
    (server.state / "conf.d" / "more.toml").write_text("[admission]\naddress_burst = 5\n")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "settings read again: changed=admission.address_burst" in server.log())
    assert [boot(server, number) for number in range(1, 7)] == [200] * 5 + [503]


def test_devices_that_nobody_claimed_expire_and_the_others_stay(start_server: Start) -> None:
    server = start_server()
    for mac in (MAC, mac_of(1)):
        assert http_get(server.http_port, f"/Aastra/{config_name(mac)}", agent=user_agent(mac)).status == 200
    assert server.stop() == 0
    age(server.state / "lib/provd.db", MAC)
    server.start()
    with (server.state / "settings.toml").open("a") as settings:
        settings.write("[admission]\nexpire_days = 29\n")
    server.process.send_signal(signal.SIGHUP)  # when the setting changes, it looks at once
    wait_until(lambda: len(server.devices()) == 1)
    wait_until(lambda: not (server.tftpboot() / "Aastra" / CONFIG).exists())
    assert server.devices()[0]["mac"] == mac_of(1)
    assert sum(re.fullmatch(r"autoprov\d+", config_id) is not None for config_id in server.configs()) == 1
    assert "devices expired: removed=1 without_contact_for_days=29" in server.log()
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200, "it comes back as a new one"


def age(store: Path, mac: str) -> None:
    """Make it so that a device was last heard of long ago."""
    with closing(sqlite3.connect(store)) as database, database:
        changed = database.execute(
            "UPDATE documents SET document = json_set(document, '$.last_contact', '2000-01-01') "
            "WHERE collection = 'devices' AND json_extract(document, '$.mac') = ?",
            (mac,),
        )
        assert changed.rowcount == 1

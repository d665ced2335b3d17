"""What systemd does for the service: restarts that no phone notices, after whatever happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.appliance.bed import SERVER, UNIT, Bed, wait_until
from tests.appliance.phones import MACS, Load, assert_nothing_refused, phones_files

DROP_IN = "/run/systemd/system/xivo-provd.service.d/test.conf"


def test_a_killed_server_is_started_again_and_has_lost_nothing(loaded: Bed, figure: Callable[[str, str], None]) -> None:
    before, restarts = phones_files(loaded), int(loaded.show("NRestarts"))
    loaded.exec("systemctl", "kill", "--kill-whom=main", "--signal=KILL", UNIT)
    wait_until(lambda: int(loaded.show("NRestarts")) > restarts, 15, "the restart")
    figure("active after kill -9", f"{loaded.wait_active():.1f} s")
    assert phones_files(loaded) == before
    assert loaded.status()["counts"]["devices"] == len(MACS)


def test_a_hung_server_is_ended_by_the_watchdog_and_who_asked_meanwhile_is_answered(
    loaded: Bed, figure: Callable[[str, str], None]
) -> None:
    before, restarts = phones_files(loaded), int(loaded.show("NRestarts"))
    loaded.exec("systemctl", "kill", "--kill-whom=main", "--signal=STOP", UNIT)
    waiting = loaded.in_clients_network(
        "curl", "-sSf", "--max-time", "90", "-A", "Aastra6731i MAC:00-08-5D-66-00-00 V:3.3.1.4305-SIP",
        f"http://{SERVER}:8667/Aastra/{MACS[0]}.cfg",
    )  # fmt: skip
    took = wait_until(lambda: int(loaded.show("NRestarts")) > restarts, 60, "the watchdog's restart")
    took += loaded.wait_active()
    figure("active after a hang", f"{took:.1f} s")
    assert "Watchdog timeout" in loaded.journal()
    assert "Fatal Python error: Aborted" in loaded.journal(), "it says where it hung"
    out, err = waiting.communicate(timeout=90)
    assert out == before[0], err
    assert phones_files(loaded) == before


def test_a_restart_under_load_refuses_nobody(loaded: Bed, figure: Callable[[str, str], None]) -> None:
    loaded.write(DROP_IN, "[Service]\nTimeoutStopSec=1\n")
    loaded.exec("systemctl", "daemon-reload")
    load = Load(loaded)
    time.sleep(2)
    socket_since = loaded.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket")
    for _ in range(2):
        pid = loaded.show("MainPID")
        loaded.exec("systemctl", "restart", UNIT)
        assert loaded.show("MainPID") != pid
        time.sleep(1)
    result = load.stop()
    assert_nothing_refused(result)
    figure("two restarts under load", f"{result['http']} HTTP, {result['tftp']} TFTP, 0 refused")
    figure("longest wait for a file meanwhile", f"{result['longest_s']:.1f} s")
    assert loaded.show("ActiveEnterTimestampMonotonic", "xivo-provd.socket") == socket_since
    assert "timed out" not in loaded.journal(), "the server asks for the time that transfers need"


def test_what_comes_while_it_is_stopped_starts_it(loaded: Bed) -> None:
    loaded.exec("systemctl", "stop", UNIT)
    assert not loaded.is_active()
    assert loaded.client("curl", "-sSf", "--max-time", "20", f"tftp://{SERVER}/{MACS[0]}.cfg")
    assert loaded.is_active()


def test_stopping_the_socket_stops_all(loaded: Bed) -> None:
    loaded.exec("systemctl", "stop", "xivo-provd.socket")
    assert not loaded.is_active()
    assert loaded.exec("ss", "-Hlntu", "sport = :69 or sport = :8667 or sport = :8666") == ""
    loaded.exec("systemctl", "start", UNIT)
    assert phones_files(loaded)


def test_wrong_settings_close_no_socket_and_mended_ones_are_used_without_help(loaded: Bed) -> None:
    loaded.write("/etc/xivo-provd/conf.d/wrong.toml", "[tftp]\nport = true\n")
    loaded.exec("systemctl", "restart", UNIT, check=False)
    waiting = loaded.in_clients_network("curl", "-sSf", "--max-time", "60", f"tftp://{SERVER}/{MACS[0]}.cfg")
    wait_until(lambda: int(loaded.show("NRestarts")) >= 6, 30, "some vain starts")
    assert loaded.is_active("xivo-provd.socket")
    loaded.exec("rm", "/etc/xivo-provd/conf.d/wrong.toml")
    loaded.wait_active()
    out, err = waiting.communicate(timeout=60)
    assert out, err

"""A server that is killed while phones boot loses nothing that a phone was given."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterator

from tests.integration.clients import config_name, user_agent
from tests.integration.server import RunningServer, wait_until

ROUNDS = 6
PHONES_AT_ONCE = 8


class Storm:
    """Phones that boot one after the other in several threads, until the server is gone."""

    def __init__(self, port: int, first: int) -> None:
        self._port = port
        self._numbers: Iterator[int] = iter(range(first, first + 100_000))
        self._lock = threading.Lock()
        self.answered: dict[str, bytes] = {}
        self._threads = [threading.Thread(target=self._run) for _ in range(PHONES_AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all threads have noticed that the server is gone."""
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        while True:
            with self._lock:
                mac = "00:08:5d:{:02x}:{:02x}:{:02x}".format(*next(self._numbers).to_bytes(3, "big"))
            try:
                content = fetch(self._port, mac)
            except (OSError, http.client.HTTPException):
                return
            with self._lock:
                self.answered[mac] = content


def fetch(port: int, mac: str) -> bytes:
    """What a phone gets for its own file."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", f"/Aastra/{config_name(mac)}", headers={"User-Agent": user_agent(mac)})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (mac, answer.status, content)
        return content
    finally:
        connection.close()


def test_whoever_was_answered_is_known_after_the_crash_and_gets_the_same_file(
    start_server: Callable[..., RunningServer]
) -> None:
    server = start_server(settings="[admission]\naddress_burst = 100000\nburst = 100000\n")
    chance = random.Random(7)
    answered: dict[str, bytes] = {}
    for round_number in range(ROUNDS):
        storm = Storm(server.http_port, round_number * 100_000)
        enough = chance.randint(5, 120)
        wait_until(lambda storm=storm, enough=enough: len(storm.answered) >= enough, 30, "the storm")
        server.kill()
        storm.join()
        answered.update(storm.answered)
        server.start()
    devices = {device["mac"]: device for device in server.devices()}
    configs = server.configs()
    assert len(devices) == len(server.devices()), "no phone became two devices"
    for mac, content in answered.items():
        assert devices[mac]["config"] in configs
        assert fetch(server.http_port, mac) == content
    assert not [device for device in devices.values() if device["config"] not in configs]
    wait_until(lambda: server.status()["store"]["unchecked_devices"] == 0, 60, "the check of all files")
    for mac in devices:
        assert (server.tftpboot() / "Aastra" / config_name(mac)).stat().st_size > 0

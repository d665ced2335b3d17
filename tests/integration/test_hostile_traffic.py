"""Good phones boot while others send hostile datagrams and connections."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.clients import config_name, user_agent
from tests.integration.server import RunningServer

SOURCE = Path(__file__).parents[2] / "bench" / "phonestorm" / "phonestorm.c"
PHONES = 60
BOOTS = 300
BOOTS_PER_S = 50
MAX_GROWTH_MB = 60


@pytest.fixture(scope="module")
def phonestorm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulator of phones, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing: apt install gcc libc6-dev")
    program = tmp_path_factory.mktemp("phonestorm") / "phonestorm"
    subprocess.run([compiler, "-O1", "-Wno-format-truncation", "-o", program, SOURCE, "-pthread"], check=True)
    return program


def boot_lines(count: int) -> str:
    """Phones as phonestorm reads them: each fetches its own file, in which its MAC address must stand, and another.

    By TFTP that is its own again: a file that all phones share is known by the phone's address alone, and an attacker
    who asks for a phone's own file takes that.
    """
    lines = []
    for number in range(count):
        mac = f"00:08:5d:00:00:{number:02x}"
        own = config_name(mac)
        protocol, second = (("http", "Aastra/aastra.cfg"), ("tftp", own))[number % 2]
        lines.append(f"127.0.5.{number + 1}\t{protocol}\tAastra/{own}|{second}\t{user_agent(mac)}\t{own[:12]}\n")
    return "".join(lines)


def storm(phonestorm: Path, server: RunningServer, requests: Path, *options: str) -> dict:
    """What the phones of one run experienced."""
    command = [
        phonestorm, "--requests", requests, "--http-port", server.http_port, "--tftp-port", server.tftp_port,
        "--pid", server.process.pid, "--max-time", 60, *options,
    ]  # fmt: skip
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_good_phones_lose_nothing_while_others_attack_both_doors(
    start_server: Callable[..., RunningServer], phonestorm: Path, tmp_path: Path
) -> None:
    server = start_server()
    requests = tmp_path / "requests"
    requests.write_text(boot_lines(PHONES))
    calm = storm(phonestorm, server, requests, "-c", "20")
    assert calm["phones"] == {"started": PHONES, "ok": PHONES, "failed": 0}, calm["failures"]

    attacked = storm(
        phonestorm, server, requests,
        "-c", "100", "--repeat", str(BOOTS // PHONES), "--rate", str(BOOTS_PER_S), "--timeout-ms", "2000",
        "--evil-tftp", "500", "--evil-http", "150", "--evil-conns", "100", "--evil-hold-ms", "1000",
        "--evil-prefix", "Aastra", "--seed", "7",
    )  # fmt: skip
    assert attacked["phones"] == {"started": BOOTS, "ok": BOOTS, "failed": 0}, attacked["failures"]
    assert attacked["files"]["failed"] == attacked["unfinished"] == 0
    assert attacked["evil"]["sent"] > BOOTS, "there was an attack"
    assert attacked["evil"]["leaks"] == 0, attacked["evil"]["leak_example"]
    growth_mb = (attacked["server"]["rss_kb_end"] - attacked["server"]["rss_kb_start"]) / 1024
    assert growth_mb < MAX_GROWTH_MB

    again = storm(phonestorm, server, requests, "-c", "20")
    assert again["phones"] == {"started": PHONES, "ok": PHONES, "failed": 0}, again["failures"]
    assert len(server.devices()) == PHONES
    server.assert_no_errors()

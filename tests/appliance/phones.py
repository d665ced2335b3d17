"""Phones in a client's network: some that are looked at one by one, and a load of them."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.appliance.bed import HERE, SERVER, Bed

MACS = [f"00085D66{number:04X}" for number in range(12)]
TFTPBOOT = "/var/lib/xivo-provd/plugins/xivo-aastra-3.3.1-SP2/var/tftpboot"


def phones_files(bed: Bed) -> list[str]:
    """The files of the phones `MACS`; those that are new become devices with passwords of their own."""
    script = f"for mac in {' '.join(MACS)}; do curl -sSf --max-time 40 tftp://{SERVER}/$mac.cfg; echo @@@; done"
    return bed.client("sh", "-c", script).split("@@@\n")[:-1]


def put_firmware(bed: Bed) -> None:
    """A file that is large enough to be under way for some seconds, where both protocols find it."""
    bed.exec("sh", "-c", f"head -c 3000000 /dev/urandom | tee {TFTPBOOT}/firmware.st > {TFTPBOOT}/Aastra/firmware.st")


def assert_nothing_refused(result: dict[str, Any]) -> None:
    """Every phone of a load got everything."""
    assert result["failures"] == [], repr(result["failures"][:5])
    assert min(result[kind] for kind in ("http", "tftp", "slow_tftp", "slow_http")) > 0, result


class Load:
    """Phones that ask again and again, from a client's network, until they are told to stop; see `load.py`."""

    def __init__(self, bed: Bed, *arguments: str) -> None:
        self._stop_file = bed.shared / "stop-load"
        self._stop_file.unlink(missing_ok=True)
        self._process = bed.in_clients_network(sys.executable, HERE / "load.py", SERVER, self._stop_file, *arguments)

    def stop(self) -> dict[str, Any]:
        """End it; how many files it got, of which kind, and what it did not get."""
        self._stop_file.touch()
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, err
        return json.loads(out)

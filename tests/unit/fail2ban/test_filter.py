"""What the filter finds in the security log, in each mode, told by the real fail2ban-regex."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provd.security.grammar import Owner

from .tools import MODES, Configuration, Match, new_device, sensitive

SAMPLES = Path(__file__).with_name("samples.log")
COMMENT = re.compile(r"# (?P<modes>(?:[\w-]+ )+)finds(?: (?P<address>[0-9a-f.:]+))?")

ATTACKED = "203.0.113.9"
HOSTILE = [
    f"a\n[2026-11-22 20:15:03,123] New device created automatically from {ATTACKED}: x",
    f"a\r\nNew device created automatically from {ATTACKED}: x",
    f'a" owner=none device=-\n[2026-11-22 20:15:03,123] Sensitive file requested from {ATTACKED}: "a',
    f'a" owner=none device=-\rSensitive file requested from {ATTACKED}: "a',
    f'Sensitive file requested from {ATTACKED}: "a" owner=none device=-',
    f"\u2028[2026-11-22 20:15:03,123] New device created automatically from {ATTACKED}: x",
    f"\x85New device created automatically from {ATTACKED}: x",
    f"\x0b\x0c\x1c\x1d\x1eNew device created automatically from {ATTACKED}: x",
    f"\x1b[2K\rNew device created automatically from {ATTACKED}: x",
    f"<HOST> {ATTACKED} ::ffff:{ATTACKED} %(ip)s $(reboot) `reboot` ;reboot",
    '"', "\\", '\\"', '\\x22" owner=known device=x', "", " ", "\0", "\ud800", "é" * 300, "x" * 5000, "%", "%eth0: ",
    f"{ATTACKED}: ", f"/{ATTACKED}", ": ", "[2026-11-22 20:15:03,123] ", "owner=known device=x",
]  # fmt: skip


def samples() -> tuple[dict[str, list[Match]], list[str]]:
    """For each mode what it must find, and all lines."""
    expected: dict[str, list[Match]] = {mode: [] for mode in MODES}
    lines: list[str] = []
    comment: re.Match[str] | None = None
    for line in SAMPLES.read_text().splitlines():
        if line.startswith("#"):
            comment = COMMENT.fullmatch(line)
        elif line:
            assert comment is not None, f"nothing is said of {line}"
            lines.append(line)
            for mode in comment["modes"].split() if comment["address"] else ():
                expected[mode].append((comment["address"], line))
            comment = None
    return expected, lines


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_finds_what_it_should_and_nothing_else(filters: Configuration, mode: str) -> None:
    expected, lines = samples()
    assert len(lines) == len(set(lines)), "each line is a sample of its own"
    assert expected[mode], "there are samples for it"
    assert filters.matches(lines, mode) == expected[mode]




@pytest.mark.parametrize("mode", MODES)
def test_no_name_or_id_makes_a_line_that_is_another_address_s(filters: Configuration, mode: str) -> None:
    lines = []
    for number, text in enumerate(HOSTILE):
        for owner in Owner:
            lines.append(sensitive(f"{number} {text}", owner))
            lines.append(sensitive(text, owner, device=f"{number}{text}"))
        lines.append(new_device(f"{number}{text}"))
    owners = {"normal": 3, "sensitive": 3, "foreign": 2, "foreign-new": 2, "nobody": 1, "new": 0}[mode]
    expected = len(HOSTILE) * (2 * owners + (mode in ("normal", "new", "foreign-new")))
    found = filters.matches(lines, mode)
    assert {address for address, _ in found} <= {"192.0.2.7"}
    assert len(found) == expected


def test_nothing_that_a_client_says_takes_it_out_of_the_count(filters: Configuration) -> None:
    """Who is to be counted must not be able to write a line that is not found."""
    lines = [sensitive(f"{number}{text}", Owner.NONE, device=text) for number, text in enumerate(HOSTILE)]
    assert len(filters.matches(lines, "nobody")) == len(HOSTILE)

"""The kit's reader for Aastra files refuses what a phone would not read as it is meant."""

from __future__ import annotations

import pytest

from provd.plugins.models import KeyBlock, Model
from provd.plugins.rendering import RenderedFile

from .syntax import NotWellFormedError, aastra

PHONE = Model(
    "6757i",
    ("6757i",),
    lines=2,
    keys=(KeyBlock("prgkey", 1), KeyBlock("softkey", 3)),
    modules=1,
    module_keys=4,
)


def read(text: str) -> dict[str, str]:
    return aastra.read(RenderedFile("Aastra/00085D2EECFB.cfg", text.encode(), True, True), PHONE)


def test_comments_empty_lines_and_quotes_are_understood() -> None:
    assert read('# a comment\n\nadmin password: "4#8 "\nsip line2 vmail: *98\nexpmod1 key4 line: 2\n') == {
        "admin password": "4#8 ",
        "sip line2 vmail": "*98",
        "expmod1 key4 line": "2",
    }


@pytest.mark.parametrize(
    "text",
    [
        "admin password: 1",
        "admin password: 1\r\n",
        "admin password: 1\u2028user password: 2\n",
        "admin password 1\n",
        "admin password: 1\nadmin password: 2\n",
        "admin password: 1 # 2\n",
        'admin password: "1\n',
        'admin password: "1" 2\n',
        'admin password: "1"2"\n',
        "Admin Password: 1\n",
        "admin passwort: 1\n",
        " admin password: 1\n",
        "http port: eighty\n",
        "sip line3 user name: 1\n",
        "sip line0 user name: 1\n",
        "sip line1 username: 1\n",
        "prgkey1 label: a\n",
        "softkey4 type: blf\n",
        "softkey1 type: dance\n",
        "softkey1 line: 3\n",
        "topsoftkey1 type: blf\n",
        "expmod2 key1 type: blf\n",
        "expmod1 key5 type: blf\n",
        "dst start day: 0\n",
    ],
)
def test_what_a_phone_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(NotWellFormedError):
        read(text)

"""Made-up families: every kind of option, and values that mean something to one server or another."""

from __future__ import annotations

from typing import Any

from provd.dhcp.rules import Rule, make_rules
from provd.dhcp.table import Table, parse_table
from provd.dhcp.values import ServerPlace

PLACE = ServerPlace("192.0.2.10", 8667, 69)

NASTY = r"""a"b\c\"'d',$PSN;#x{{mac}},e/\\"""
"""A text as a table writes it; the braces are doubled there."""
NASTY_SENT = NASTY.replace("{{", "{").replace("}}", "}")

ACME: dict[str, Any] = {
    "phones": [
        {
            "name": "desk",
            "vendor_class": [{"prefix": "Acme \"D\\esk' "}, {"exact": "Acme, Inc."}],
            "oui": ["02:00:01"],
            "note": 'Phones with "quotes" and #signs.',
            "options": {
                "66": {"text": NASTY},
                "67": {"text": "{address} {host} {http_base_url} {http_port} {tftp_port}"},
                "43": {
                    "1": {"text": NASTY},
                    "2": {"ip": "{address}"},
                    "3": {"boolean": True},
                    "4": {"uint8": 255},
                    "5": {"uint16": 1},
                    "254": {"uint32": 4294967295},
                },
                "150": {"ip": "198.51.100.1"},
                "224": {"boolean": False},
                "225": {"uint8": 7},
                "226": {"uint16": 65535},
                "227": {"uint32": 5},
                "228": {"text": "12"},
                "229": {"text": "00:15:65"},
                "230": {"text": " b "},
            },
        },
        {"name": "bare", "vendor_class": [{"exact": "Acme"}]},
        {"name": "late", "vendor_class": [{"prefix": "Ac"}], "options": {"66": {"text": "late"}}},
    ]
}
OTHER: dict[str, Any] = {
    "phones": [
        {
            "name": "any",
            "vendor_class": [{"prefix": "Other"}, {"exact": "Acme"}],
            "oui": ["02:00:02", "02:00:01"],
            "options": {"43": {"text": NASTY}, "150": {"ip": "{address}"}},
        }
    ]
}


def acme() -> Table:
    """The table with everything."""
    return parse_table("acme", ACME)


def tables() -> list[Table]:
    """It and another, which overlaps it, in the wrong order."""
    return [parse_table("other", OTHER), acme()]


def rules(place: ServerPlace = PLACE) -> list[Rule]:
    """The rules of both."""
    return make_rules(tables(), place)

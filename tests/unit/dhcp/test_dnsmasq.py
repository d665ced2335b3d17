"""The snippet for dnsmasq, as text."""

from __future__ import annotations

from provd.dhcp import dnsmasq
from provd.dhcp.snippet import HOOK, Snippet
from tests.unit.dhcp.acme import PLACE, rules


def lines() -> list[str]:
    return dnsmasq.render(Snippet(rules(), PLACE)).splitlines()


def test_every_text_is_quoted_so_that_it_is_no_address_number_or_hex() -> None:
    assert dnsmasq.quoted('a"b\\c,$PSN #') == '"a\\"b\\\\c,$PSN #"'
    forced = [line for line in lines() if line.startswith("dhcp-option-force=tag:xivo-provd-acme-desk,22")]
    assert forced == [
        "dhcp-option-force=tag:xivo-provd-acme-desk,224,0b",
        "dhcp-option-force=tag:xivo-provd-acme-desk,225,7b",
        "dhcp-option-force=tag:xivo-provd-acme-desk,226,65535s",
        "dhcp-option-force=tag:xivo-provd-acme-desk,227,5i",
        'dhcp-option-force=tag:xivo-provd-acme-desk,228,"12"',
        'dhcp-option-force=tag:xivo-provd-acme-desk,229,"00:15:65"',
    ]


def test_sub_options_are_encapsulated() -> None:
    assert "dhcp-option-force=tag:xivo-provd-acme-desk,encap:43,2,192.0.2.10" in lines()
    assert "dhcp-option-force=tag:xivo-provd-acme-desk,encap:43,254,4294967295i" in lines()


def test_a_prefix_is_compared_from_the_beginning_in_hex() -> None:
    place = lines().index("# option 60 begins with Ac")
    assert lines()[place + 1 : place + 4] == [
        "dhcp-match=set:xivo-provd-acme-late-match-1,60,41:63",
        "tag-if=set:xivo-provd-acme-late,tag:xivo-provd-acme-late-match-1,tag:!xivo-provd-known",
        "tag-if=set:xivo-provd-known,tag:xivo-provd-acme-late",
    ]


def test_an_exact_text_has_nothing_behind_it_but_a_nul() -> None:
    tag, match = "xivo-provd-acme-bare", "xivo-provd-acme-bare-match-1"
    place = lines().index("# option 60 is Acme")
    assert lines()[place + 1 : place + 8] == [
        f"dhcp-match=set:{match},60,41:63:6d:65",
        f"dhcp-match=set:{match}-longer,60,41:63:6d:65:*",
        f"dhcp-match=set:{match}-nul,60,41:63:6d:65:00",
        f"dhcp-match=set:{match}-nul-longer,60,41:63:6d:65:00:*",
        f"tag-if=set:{tag},tag:{match},tag:!{match}-longer,tag:!xivo-provd-known",
        f"tag-if=set:{tag},tag:{match}-nul,tag:!{match}-nul-longer,tag:!xivo-provd-known",
        f"tag-if=set:xivo-provd-known,tag:{tag}",
    ]


def test_ouis_are_compared_last() -> None:
    assert lines()[-6:-2] == [
        "dhcp-mac=set:xivo-provd-other-any-oui-match,02:00:02:*:*:*",
        "dhcp-mac=set:xivo-provd-other-any-oui-match,02:00:01:*:*:*",
        "tag-if=set:xivo-provd-other-any-oui,tag:xivo-provd-other-any-oui-match,tag:!xivo-provd-known",
        "tag-if=set:xivo-provd-known,tag:xivo-provd-other-any-oui",
    ]


def test_the_hook_is_the_script_also_for_renewals() -> None:
    assert f"dhcp-script={HOOK}" in lines()
    assert "script-on-renewal" in lines()

"""The hook, run as each DHCP server runs it: what provd reads of the one datagram."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from provd.model.dhcp_event import DhcpEvent
from provd.wire.dhcp_message import decode
from tests.unit.dhcp_hook.hook import HOOK, Listener, Told

IP, MAC = "192.0.2.7", "00:08:5d:2e:ec:fb"
DHCPD_MAC = "0:8:5d:2e:ec:fb"
AASTRA = b"AastraIPPhone6731i"
OPTION_60 = "060" + ".".join(f"{byte:x}" for byte in AASTRA)


def events(told: Told) -> list[DhcpEvent]:
    """The events of the one datagram of a run without trouble; their time is looked at elsewhere."""
    assert (told.status, told.stdout, told.stderr) == (0, b"", "")
    (datagram,) = told.datagrams
    return [DhcpEvent(each.op, each.ip, each.mac, each.options) for each in decode(datagram)]


def assert_nothing_told(told: Told) -> None:
    assert told == Told(0, b"", "", [])


def test_the_time_is_that_of_the_event(listener: Listener) -> None:
    before = time.monotonic_ns()
    told = listener.run("commit", IP, DHCPD_MAC)
    (event,) = decode(told.datagrams[0])
    assert event.time_ns
    assert before < event.time_ns < time.monotonic_ns()


# --- ISC dhcpd


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (["commit", IP, DHCPD_MAC], DhcpEvent("commit", IP, MAC)),
        (["commit", IP, DHCPD_MAC, OPTION_60], DhcpEvent("commit", IP, MAC, {60: AASTRA})),
        (["commit", IP, DHCPD_MAC, "060"], DhcpEvent("commit", IP, MAC)),
        (["commit", IP, DHCPD_MAC, ""], DhcpEvent("commit", IP, MAC)),
        (
            ["commit", IP, DHCPD_MAC, "", "01270.68", OPTION_60, "055"],
            DhcpEvent("commit", IP, MAC, {12: b"ph", 60: AASTRA}),
        ),
        (["commit", IP, DHCPD_MAC, "060a.0.ff.FF.00"], DhcpEvent("commit", IP, MAC, {60: b"\n\0\xff\xff\0"})),
        (["release", IP], DhcpEvent("release", IP)),
        (["release", IP, ""], DhcpEvent("release", IP)),
        (["release", IP, DHCPD_MAC], DhcpEvent("release", IP, MAC)),
        (["expiry", IP], DhcpEvent("expiry", IP)),
        (["expiry", IP, DHCPD_MAC], DhcpEvent("expiry", IP, MAC)),
    ],
)
def test_what_dhcpd_executes(listener: Listener, arguments: list[str], event: DhcpEvent) -> None:
    assert events(listener.run(*arguments)) == [event]


def test_the_former_name_does_the_same(listener: Listener, tmp_path: Path) -> None:
    dxtorc = tmp_path / "dxtorc"
    dxtorc.symlink_to(HOOK)
    told = listener.run("commit", IP, DHCPD_MAC, OPTION_60, program=dxtorc)
    assert events(told) == [DhcpEvent("commit", IP, MAC, {60: AASTRA})]


NO_OPTIONS = [
    "060" + AASTRA.hex(), "60=41", "06", "0x0", "25641", "06041.", "060.41", "06041..42", "060414", "060zz",
    "060" + ".".join(["41"] * 256), "060\xff", "foo\nrelease\n1.2.3.4",
]  # fmt: skip


@pytest.mark.parametrize("option", NO_OPTIONS)
def test_what_is_no_option_is_left_out_and_told(listener: Listener, option: str) -> None:
    told = listener.run("commit", IP, DHCPD_MAC, option, "01270.68")
    assert told.stderr.startswith(f"xivo-provd-dhcp-hook: {option[:80]!a} is no option and was left out: needed are")
    assert 'concat("060", binary-to-ascii(16, 8, ".",' in told.stderr
    assert told.stderr.count("\n") == 1
    (event,) = decode(told.datagrams[0])
    assert (told.status, event.mac, event.options) == (0, MAC, {12: b"ph"})


# --- dnsmasq


def dnsmasq(**variables: bytes) -> dict[bytes, bytes]:
    """The variables that dnsmasq sets for a lease, and those of the case."""
    usual = {"DNSMASQ_INTERFACE": b"eth0", "DNSMASQ_LEASE_EXPIRES": b"1795381429", "DNSMASQ_TIME_REMAINING": b"120"}
    given = {f"DNSMASQ_{name}": value for name, value in variables.items()}
    return {name.encode(): value for name, value in {**usual, **given}.items()}


BOOT = dnsmasq(VENDOR_CLASS=AASTRA, SUPPLIED_HOSTNAME=b"6731i00085D2EECFB", REQUESTED_OPTIONS=b"1,3,6,42,66")
BOOT_OPTIONS = {12: b"6731i00085D2EECFB", 55: bytes([1, 3, 6, 42, 66]), 60: AASTRA}


@pytest.mark.parametrize("action", ["add", "old"])
@pytest.mark.parametrize("more", [[], ["6731i00085D2EECFB"], ["phöne"]])
def test_what_dnsmasq_says_of_a_boot(listener: Listener, action: str, more: list[str]) -> None:
    told = listener.run(action, MAC, IP, *more, environment=BOOT)
    assert events(told) == [DhcpEvent("commit", IP, MAC, BOOT_OPTIONS)]


def test_what_dnsmasq_says_of_a_renewal(listener: Listener) -> None:
    assert events(listener.run("old", MAC, IP, environment=dnsmasq())) == [DhcpEvent("commit", IP, MAC)]


def test_what_dnsmasq_says_of_the_end(listener: Listener) -> None:
    assert events(listener.run("del", MAC, IP, "name", environment=BOOT)) == [DhcpEvent("release", IP, MAC)]


def test_leases_that_dnsmasq_remembers_at_its_start_are_no_boots(listener: Listener) -> None:
    assert_nothing_told(listener.run("old", MAC, IP, environment=dnsmasq(DATA_MISSING=b"1")))


@pytest.mark.parametrize(
    "vendor_class",
    [
        b"\n",
        b"\xff\xfe\x80",
        b"'; rm -rf /; '",
        b'"$(reboot)`id`',
        b"@1\ncommit\n192.0.2.9\n",
        bytes(range(1, 256)),
        b" ",
    ],
)
def test_foreign_bytes_stay_what_they_are(listener: Listener, vendor_class: bytes) -> None:
    told = listener.run("add", MAC, IP, environment=dnsmasq(VENDOR_CLASS=vendor_class, SUPPLIED_HOSTNAME=vendor_class))
    assert events(told) == [DhcpEvent("commit", IP, MAC, {12: vendor_class, 60: vendor_class})]


def test_no_option_is_longer_than_dhcp_has_them(listener: Listener) -> None:
    told = listener.run("add", MAC, IP, environment=dnsmasq(VENDOR_CLASS=b"x" * 5000))
    assert events(told) == [DhcpEvent("commit", IP, MAC, {60: b"x" * 255})]


@pytest.mark.parametrize("requested", [b"", b"1,256", b"1,-1", b"1,,3", b"1;3", b"\xff", b"9" * 5000])
def test_a_list_of_options_that_is_none_is_left_out(listener: Listener, requested: bytes) -> None:
    told = listener.run("add", MAC, IP, environment=dnsmasq(REQUESTED_OPTIONS=requested))
    assert events(told) == [DhcpEvent("commit", IP, MAC)]


@pytest.mark.parametrize(
    "values",
    [
        [f"06-{MAC}", IP],
        ["20-00:00:00:00:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39", IP],
        ["00-", IP],
        ["", IP],
        [MAC, "2001:db8::7"],
        ["00:01:00:01:2a:bb:cc:dd:00:08:5d:2e:ec:fb", "2001:db8::7"],
        ["00:01:00:01:2a:bb", "2001:db8::7"],
    ],
)
@pytest.mark.parametrize("action", ["add", "old", "del"])
def test_what_no_phone_has_is_not_told(listener: Listener, action: str, values: list[str]) -> None:
    environment = {**BOOT, **dnsmasq(IAID=b"1564519675", MAC=MAC.encode())} if ":" in values[1] else BOOT
    told = listener.run(action, *values, environment=environment)
    if (action, values[0]) == ("del", ""):
        assert events(told) == [DhcpEvent("release", IP)]
    else:
        assert_nothing_told(told)


@pytest.mark.parametrize("action", ["init", "tftp", "arp-add", "arp-old", "arp-del", "relay-snoop"])
def test_other_actions_of_dnsmasq_are_none_of_provds_business(listener: Listener, action: str) -> None:
    assert_nothing_told(listener.run(action, MAC, IP, environment=BOOT))


# --- Kea: one argument, and an environment without PATH


def kea(prefix: str, ip: str = IP, mac: str = MAC, kind: str = "1") -> dict[bytes, bytes]:
    """The variables that Kea sets for a lease."""
    values = {"ADDRESS": ip, "HWADDR": mac, "HWADDR_TYPE": kind, "HOSTNAME": "", "CLIENT_ID": "", "STATE": "default"}
    return {f"{prefix}_{name}".encode(): value.encode() for name, value in values.items()}


def sizes(committed: int, deleted: int) -> dict[bytes, bytes]:
    return {b"LEASES4_SIZE": b"%d" % committed, b"DELETED_LEASES4_SIZE": b"%d" % deleted}


@pytest.mark.parametrize(
    ("hook_point", "operation"),
    [("lease4_renew", "commit"), ("lease4_release", "release"), ("lease4_expire", "expiry")],
)
def test_what_kea_says_of_a_lease(listener: Listener, hook_point: str, operation: str) -> None:
    told = listener.run(hook_point, environment=kea("LEASE4"))
    assert events(told) == [DhcpEvent(operation, IP, MAC)]


def test_what_kea_says_of_committed_leases(listener: Listener) -> None:
    told = listener.run("leases4_committed", environment={**kea("LEASES4_AT0"), **sizes(1, 0), b"QUERY4_TYPE": b"\xff"})
    assert events(told) == [DhcpEvent("commit", IP, MAC)]


def test_kea_deletes_a_lease_before_it_gives_another(listener: Listener) -> None:
    told = listener.run(
        "leases4_committed",
        environment={
            **kea("LEASES4_AT0"),
            **kea("LEASES4_AT1", "192.0.2.8", "02:00:00:00:00:08"),
            **kea("DELETED_LEASES4_AT0", "192.0.2.9"),
            **sizes(2, 1),
        },
    )
    assert events(told) == [
        DhcpEvent("release", "192.0.2.9", MAC),
        DhcpEvent("commit", IP, MAC),
        DhcpEvent("commit", "192.0.2.8", "02:00:00:00:00:08"),
    ]


def test_more_leases_than_a_message_may_have_are_cut_off(listener: Listener) -> None:
    environment = {key: value for n in range(100) for key, value in kea(f"LEASES4_AT{n}").items()}
    assert len(events(listener.run("leases4_committed", environment={**environment, **sizes(100, 0)}))) == 64


def test_kea_may_not_know_who_had_a_lease_that_ran_out(listener: Listener) -> None:
    assert events(listener.run("lease4_expire", environment=kea("LEASE4", mac=""))) == [DhcpEvent("expiry", IP)]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        sizes(0, 0),
        sizes(2, 2),
        {b"LEASES4_SIZE": b"-1"},
        {b"LEASES4_SIZE": b"99999999999999999999"},
        {b"LEASES4_SIZE": b"\xff"},
        {**sizes(1, 0), **kea("LEASES4_AT0", mac="")},
        {**sizes(1, 0), **kea("LEASES4_AT0", kind="6")},
        {**sizes(1, 0), **kea("LEASES4_AT0", mac="00:00:00:00:fe:80:00:00")},
        {**sizes(1, 0), **kea("LEASES4_AT0", mac="x\ny")},
        {**sizes(1, 0), **kea("LEASES4_AT0", ip="2001:db8::7")},
    ],
)
def test_committed_leases_that_no_phone_has_are_not_told(listener: Listener, environment: dict[bytes, bytes]) -> None:
    assert_nothing_told(listener.run("leases4_committed", environment=environment))


@pytest.mark.parametrize("hook_point", ["lease4_decline", "lease4_recover", "leases6_committed", "lease6_renew"])
def test_other_hook_points_of_kea_are_none_of_provds_business(listener: Listener, hook_point: str) -> None:
    assert_nothing_told(listener.run(hook_point, environment={**kea("LEASE4"), **kea("LEASE6", "2001:db8::7")}))

"""The datagram of the DHCP hook: what is read of it, and what is said of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.model.dhcp_event import OPERATIONS, DhcpEvent
from provd.wire.dhcp_message import MAX_EVENTS, MAX_SIZE, decode

IP, MAC = "192.0.2.7", "00:08:5d:2e:ec:fb"


def test_a_message_as_the_hook_sends_it() -> None:
    datagram = b"@81234567890123\ncommit\n192.0.2.7\n0:8:5d:2e:ec:fb\n06041.61\n01270.68\n"
    assert decode(datagram) == [DhcpEvent("commit", IP, MAC, {60: b"Aa", 12: b"ph"}, time_ns=81234567890123)]


@pytest.mark.parametrize(
    ("datagram", "event"),
    [
        (b"commit\n192.0.2.7\n0:8:5d:2e:ec:fb\n06041.61\n", DhcpEvent("commit", IP, MAC, {60: b"Aa"})),
        (b"commit\n192.0.2.7\n0:8:5d:2e:ec:fb\n060", DhcpEvent("commit", IP, MAC)),
        (b"commit\n192.0.2.7\n0:8:5d:2e:ec:fb", DhcpEvent("commit", IP, MAC)),
        (b"release\n192.0.2.7\n", DhcpEvent("release", IP)),
        (b"expiry\n192.0.2.7", DhcpEvent("expiry", IP)),
    ],
)
def test_what_the_existing_hook_sends_is_understood_too(datagram: bytes, event: DhcpEvent) -> None:
    assert decode(datagram) == [event]


@pytest.mark.parametrize("operation", ["release", "expiry"])
def test_release_and_expiry_may_say_whose_the_address_was(operation: str) -> None:
    datagram = f"@0\n{operation}\n{IP}\n{MAC}\n06041\n".encode()
    assert decode(datagram) == [DhcpEvent(operation, IP, MAC, {60: b"A"}, time_ns=0)]


def test_several_events_keep_their_order_and_share_the_time() -> None:
    datagram = b"@7\n\n\nrelease\n192.0.2.9\n\ncommit\n192.0.2.7\n00:08:5d:2e:ec:fb\n\n\nexpiry\n192.0.2.8\n\n"
    assert decode(datagram) == [
        DhcpEvent("release", "192.0.2.9", time_ns=7),
        DhcpEvent("commit", IP, MAC, time_ns=7),
        DhcpEvent("expiry", "192.0.2.8", time_ns=7),
    ]


@pytest.mark.parametrize(
    "time", [b"@", b"@x", b"@-1", b"@+1", b"@1.5", b"@ 1", b"@1 ", b"@1\r", b"@" + b"9" * 20, b"@@1"]
)
def test_a_time_that_is_none(time: bytes) -> None:
    with pytest.raises(InvalidValueError, match=r"^time: .*@.* is not allowed; allowed: @ and nanoseconds$") as caught:
        decode(time + b"\nrelease\n192.0.2.7\n")
    assert (caught.value.field, caught.value.value) == ("time", time.decode())


@pytest.mark.parametrize("datagram", [b"", b"\n", b"\n" * 1000, b"@1", b"@1\n", b"@1\n\n\n"])
def test_a_message_without_events(datagram: bytes) -> None:
    with pytest.raises(InvalidValueError, match=r"^datagram: '0 events' is not allowed; allowed: 1 to 64 events$"):
        decode(datagram)


def test_a_message_has_an_end() -> None:
    event = b"release\n192.0.2.7\n\n"
    assert len(decode(event * MAX_EVENTS)) == MAX_EVENTS
    with pytest.raises(InvalidValueError, match=r"^datagram: '65 events' is not allowed; allowed: 1 to 64 events$"):
        decode(event * (MAX_EVENTS + 1))
    with pytest.raises(
        InvalidValueError, match=r"^datagram: '16385 bytes' is not allowed; allowed: at most 16384 bytes$"
    ):
        decode(event.ljust(MAX_SIZE + 1, b"\n"))
    assert decode(event.ljust(MAX_SIZE, b"\n"))


@pytest.mark.parametrize("foreign", [b"\xff", "é".encode(), b"\x80release\n192.0.2.7", "release\n١٩٢.0.2.7".encode()])
def test_only_ascii_is_text(foreign: bytes) -> None:
    with pytest.raises(InvalidValueError, match=r"^datagram: .* is not allowed; allowed: text in ASCII$"):
        decode(foreign)


@pytest.mark.parametrize(
    ("datagram", "field"),
    [
        (b"renew\n192.0.2.7\n", "op"),
        (b"Commit\n192.0.2.7\n0:8:5d:2e:ec:fb\n", "op"),
        (b" release\n192.0.2.7\n", "op"),
        (b"release\r\n192.0.2.7\r\n", "op"),
        (b"release\0\n192.0.2.7\n", "op"),
        (b"release\n@1\n", "ip"),
        (b"release", "ip"),
        (b"release\n192.0.2.7 \n", "ip"),
        (b"commit\n192.0.2.7\n", "mac"),
        (b"commit\n192.0.2.7\n\n0:8:5d:2e:ec:fb\n", "mac"),
        (b"release\n192.0.2.7\n06041\n", "mac"),
        (b"commit\n192.0.2.7\n0:8:5d:2e:ec:fb\n60\n", "options"),
        (b"commit\n192.0.2.7\n0:8:5d:2e:ec:fb\n" + b"060\n" * 257, "options"),
        (b"release\n192.0.2.7\n\nrenew\n192.0.2.8\n", "op"),
    ],
)
def test_one_wrong_event_makes_the_whole_message_wrong(datagram: bytes, field: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{field}: ") as caught:
        decode(datagram)
    assert caught.value.field == field


options = st.dictionaries(st.integers(0, 255), st.binary(min_size=1, max_size=40), max_size=4)
macs = st.binary(min_size=6, max_size=6).map(lambda mac: mac.hex(":"))
events = st.builds(
    DhcpEvent,
    op=st.sampled_from(OPERATIONS),
    ip=st.ip_addresses().map(str).filter(lambda ip: not ip.startswith("::ffff:")),
    mac=macs,
    options=options,
    time_ns=st.just(7),
) | st.builds(
    DhcpEvent,
    op=st.sampled_from(["release", "expiry"]),
    ip=st.ip_addresses(v=4).map(str),
    time_ns=st.just(7),
)  # fmt: skip


def written(event: DhcpEvent) -> str:
    lines = [f"{code:03}{value.hex('.')}" for code, value in event.options.items()]
    return "\n".join([event.op, event.ip, *([event.mac] if event.mac else []), *lines])


@settings(deadline=None, derandomize=True)
@given(st.lists(events, min_size=1, max_size=10))
def test_what_is_written_is_read_again(several: list[DhcpEvent]) -> None:
    message = "@7\n" + "\n\n".join(map(written, several))
    assert decode(message.encode()) == several
    assert decode(message.encode() + b"\n") == several


pieces = st.sampled_from(
    [b"@7", b"commit", b"release", b"192.0.2.7", b"0:8:5d:2e:ec:fb", b"06041.61", b"060", b"\n", b"\0"]
)


@settings(deadline=None, derandomize=True, max_examples=1000)
@given(st.binary(max_size=200) | st.lists(pieces | st.binary(max_size=8), max_size=20).map(b"\n".join))
def test_whatever_somebody_sends_is_events_or_is_refused_by_name(datagram: bytes) -> None:
    try:
        found = decode(datagram)
    except InvalidValueError as error:
        refusal = error
    else:
        assert 1 <= len(found) <= MAX_EVENTS
        assert all(event.op in OPERATIONS for event in found)
        return
    assert refusal.field in ("datagram", "time", "op", "ip", "mac", "options")
    assert "\n" not in str(refusal)
    assert len(str(refusal)) < 1000

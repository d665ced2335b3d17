"""What a DHCP server tells of a lease: what is believed, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError, MissingValueError
from provd.model.dhcp_event import MAX_OPTIONS, OPERATIONS, DhcpEvent, dhcp_event, dhcp_event_of

IP, MAC = "192.0.2.7", "00:08:5d:2e:ec:fb"


def of_values(data: dict[str, Any]) -> DhcpEvent:
    """The event of a `dhcp_info` object's values, given one by one."""
    return dhcp_event(data.get("op"), data.get("ip"), data.get("mac"), data.get("options", ()))


@pytest.fixture(params=[dhcp_event_of, of_values])
def event_of(request: pytest.FixtureRequest) -> Callable[[dict[str, Any]], DhcpEvent]:
    """Both ways to make an event."""
    way: Callable[[dict[str, Any]], DhcpEvent] = request.param
    return way


Way = Callable[[dict[str, Any]], DhcpEvent]


@pytest.mark.parametrize(
    ("data", "event"),
    [
        ({"op": "commit", "ip": IP, "mac": MAC}, DhcpEvent("commit", IP, MAC)),
        ({"op": "commit", "ip": IP, "mac": "0:8:5d:2e:ec:fb"}, DhcpEvent("commit", IP, MAC)),
        ({"op": "commit", "ip": f"::ffff:{IP}", "mac": "00085D2EECFB"}, DhcpEvent("commit", IP, MAC)),
        ({"op": "commit", "ip": "2001:DB8::7", "mac": MAC}, DhcpEvent("commit", "2001:db8::7", MAC)),
        ({"op": "release", "ip": IP}, DhcpEvent("release", IP)),
        ({"op": "release", "ip": IP, "mac": MAC}, DhcpEvent("release", IP, MAC)),
        ({"op": "expiry", "ip": IP, "mac": None}, DhcpEvent("expiry", IP)),
    ],
)
def test_events(event_of: Way, data: dict[str, Any], event: DhcpEvent) -> None:
    assert event_of(data) == event


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], {}),
        ((), {}),
        (["06066.6f.6f"], {60: b"foo"}),
        (["0604", "012A.b"], {60: b"\4", 12: b"\n\v"}),
        (["0000.00.ff.FF"], {0: b"\0\0\xff\xff"}),
        (["25501"], {255: b"\1"}),
        (["060"], {}),
        (["06041", "060"], {60: b"A"}),
        (["06041", "06042"], {60: b"B"}),
        (["060" + ".".join(["ff"] * 256)], {60: b"\xff" * 256}),
    ],
)
def test_options(event_of: Way, options: list[str], found: dict[int, bytes]) -> None:
    assert event_of({"op": "commit", "ip": IP, "mac": MAC, "options": options}).options == found


def test_no_options_may_be_null() -> None:
    assert dhcp_event_of({"op": "commit", "ip": IP, "mac": MAC, "options": None}).options == {}


def test_other_keys_do_not_matter() -> None:
    assert dhcp_event_of({"op": "release", "ip": IP, "time_ns": 7, "": ""}) == DhcpEvent("release", IP)


def test_the_time_is_kept() -> None:
    assert dhcp_event("release", IP, time_ns=7).time_ns == 7


@pytest.mark.parametrize("op", [None, "", "Commit", "commit ", "renew", 1, ["commit"], {}, True, "\n"])
def test_an_operation_that_is_none(event_of: Way, op: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^op: .* is not allowed; allowed: commit, release, expiry$") as caught:
        event_of({"op": op, "ip": IP, "mac": MAC})
    assert (caught.value.field, caught.value.http_status) == ("op", 400)
    assert repr(op) in str(caught.value) or isinstance(op, list | dict), "what may hold anything is not shown"


@pytest.mark.parametrize(
    "ip", [None, "", "192.0.2", "192.0.2.256", "x", f"{IP}\n", f" {IP}", 3232235777, [IP], {}, b"\0\0\0\0"]
)
@pytest.mark.parametrize("op", OPERATIONS)
def test_an_address_that_is_none(event_of: Way, op: str, ip: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^ip: .*; allowed: an IPv4 or IPv6 address") as caught:
        event_of({"op": op, "ip": ip, "mac": MAC})
    assert caught.value.field == "ip"


def test_a_commit_needs_a_mac_address(event_of: Way) -> None:
    with pytest.raises(MissingValueError, match=r"^mac: missing; needed: the MAC address that the lease was given to$"):
        event_of({"op": "commit", "ip": IP})


@pytest.mark.parametrize("mac", ["", "0:8:5d:2e:ec", f"{MAC}:00", f"{MAC}\n", f"06-{MAC}", 7, [MAC], b"\0" * 6])
@pytest.mark.parametrize("op", OPERATIONS)
def test_a_mac_address_that_is_none(event_of: Way, op: str, mac: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^mac: .*; allowed: six hexadecimal bytes") as caught:
        event_of({"op": op, "ip": IP, "mac": mac})
    assert caught.value.field == "mac"


@pytest.mark.parametrize("options", ["06041", {"060": "41"}, 7, True, b"06041"])
def test_options_that_are_no_list(event_of: Way, options: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^options: ") as caught:
        event_of({"op": "commit", "ip": IP, "mac": MAC, "options": options})
    assert caught.value.field == "options"


NO_OPTIONS = [
    None, "", "6", "06", "60=41", "25641", "99941", "06041.", "060.41", "06041..42", "060414", "0604g", "060 41",
    "06041\n", "\n06041", "٠٦٠41", "060٤١", "060+4", "0600x4", "060-1", "060" + ".".join(["ff"] * 257),
    60, ["06041"], b"06041",
]  # fmt: skip


@pytest.mark.parametrize("option", NO_OPTIONS)
@pytest.mark.parametrize("op", OPERATIONS)
def test_an_option_that_is_none(event_of: Way, op: str, option: object) -> None:
    with pytest.raises(
        InvalidValueError, match=r"allowed: three digits of the option's code, .* 06066\.6f\.6f$"
    ) as caught:
        event_of({"op": op, "ip": IP, "mac": MAC, "options": ["06041", option]})
    assert caught.value.field == "options"
    assert repr(option)[:40] in str(caught.value) or isinstance(option, list)


def test_options_have_an_end(event_of: Way) -> None:
    data = {"op": "commit", "ip": IP, "mac": MAC, "options": ["06041"] * MAX_OPTIONS}
    assert event_of(data).options == {60: b"A"}
    data["options"] = ["06041"] * (MAX_OPTIONS + 1)
    with pytest.raises(
        InvalidValueError, match=r"^options: 'more than 256 options' is not allowed; allowed: at most 256"
    ):
        event_of(data)


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.integers(0, 255), st.binary(min_size=1, max_size=256), max_size=20), st.booleans(), st.booleans()
)
def test_however_an_option_is_written_its_bytes_come_back(options: dict[int, bytes], padded: bool, upper: bool) -> None:
    form = f"{'02' if padded else ''}{'X' if upper else 'x'}"
    written = [f"{code:03}" + ".".join(f"{byte:{form}}" for byte in value) for code, value in options.items()]
    assert dhcp_event("commit", IP, MAC, written).options == options


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
near = st.sampled_from(["commit", "release", "expiry", IP, MAC, "06041", ["06041"], ["060", 7]])


@settings(deadline=None, derandomize=True, max_examples=500)
@given(st.dictionaries(st.sampled_from(["op", "ip", "mac", "options", "more"]), json_values | near))
def test_whatever_somebody_posts_is_an_event_or_is_refused_by_name(data: dict[str, Any]) -> None:
    try:
        event = dhcp_event_of(data)
    except InvalidValueError as error:
        refusal = error
    else:
        assert event.op in OPERATIONS
        assert all(value for value in event.options.values())
        return
    assert refusal.field in ("op", "ip", "mac", "options")
    assert "\n" not in str(refusal)

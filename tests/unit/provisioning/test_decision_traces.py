"""Why did this phone get this, or nothing? What the traces of whole requests say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provd.identify.admit import ADMITTED, UNIDENTIFIED, UNIDENTIFIED_BEHIND_NAT, UNKNOWN_VENDOR
from provd.identify.retrieve import ANOTHER, BY_ADDRESS, NO_ADDRESS, NOT_BY_ADDRESS
from provd.model.dhcp_event import RELEASE
from provd.model.request import HttpRequest, TftpRequest
from provd.plugins.files import Problem
from provd.provisioning.admission import AdmissionLimits

from ..plugins.sample import PLUGIN_ID, write
from ..store.steered import always
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, lease, own_config, phone

COMMON = "Sample/common.cfg"


def last(house: House) -> dict[str, Any]:
    return house.app.decisions.latest(1)[0]


def asked(house: House, request: HttpRequest | TftpRequest) -> dict[str, Any]:
    """The trace of one request, which is one trace more."""
    before = len(house.app.decisions)
    house.ask(request)
    assert len(house.app.decisions) == before + 1
    return last(house)


def test_a_first_request(house: House) -> None:
    trace = asked(house, phone())
    device = house.the_device()
    identity = {"vendor": "Sample", "model": "S100", "version": "1.0", "mac": MAC}
    new = {**identity, "ip": "192.0.2.101", "plugin": PLUGIN_ID, "config": device["config"]}
    expected = {
        "protocol": "http", "address": "192.0.2.101", "path": OWN, "user_agent": f"Sample S100 {MAC} 1.0",
        "extracted": {PLUGIN_ID: identity}, "identity": identity, "rule": NO_ADDRESS.rule, "device": device["id"],
        "changes": {key: {"old": None, "new": value} for key, value in new.items()},
        "support": {PLUGIN_ID: "EXACT"}, "admission": ADMITTED, "rendered": True, "plugin": PLUGIN_ID, "file": OWN,
        "result": "complete",
    }  # fmt: skip
    assert {key: trace[key] for key in expected} == expected


def test_a_request_of_a_known_phone_of_which_nothing_changed(house: House) -> None:
    house.ask(phone())
    trace = asked(house, phone(COMMON))
    assert (trace["rule"], trace["device"], trace["file"]) == ("mac", house.the_device()["id"], COMMON)
    assert not any(trace[key] for key in ("changes", "support", "admission", "rendered"))


def test_a_request_that_says_nothing_is_known_by_its_address(house: House) -> None:
    house.ask(phone())
    trace = asked(house, TftpRequest("192.0.2.101", COMMON))
    assert (trace["protocol"], trace["extracted"], trace["identity"], trace["rule"]) == ("tftp", {}, {}, BY_ADDRESS)


def test_a_phone_that_moves_and_one_that_loses_its_address(house: House) -> None:
    house.ask(phone())
    trace = asked(house, phone(address="192.0.2.102", version="2.0"))
    assert trace["changes"] == {
        "ip": {"old": "192.0.2.101", "new": "192.0.2.102"},
        "version": {"old": "1.0", "new": "2.0"},
    }
    assert trace["rendered"] is True


def test_another_phone_at_a_known_address(house: House) -> None:
    house.ask(phone())
    trace = asked(house, phone(OTHERS, mac=OTHER_MAC))
    assert (trace["rule"], trace["admission"]) == (ANOTHER.rule, ADMITTED)
    assert last(house)["device"] != house.app.decisions.latest(2)[1]["device"]


@pytest.mark.parametrize(
    ("nat", "agent", "admission", "rule"),
    [
        (False, "Mozilla/5.0", UNIDENTIFIED, NO_ADDRESS),
        (True, "Sample S100", UNIDENTIFIED_BEHIND_NAT, NOT_BY_ADDRESS),
    ],
)
def test_a_request_of_nobody(house: House, nat: bool, agent: str, admission: str, rule: Any) -> None:
    house.app.nat.set(nat)
    trace = asked(house, HttpRequest("192.0.2.66", "favicon.ico", headers={"user-agent": agent}))
    assert (trace["device"], trace["admission"], trace["rule"]) == (None, admission, rule.rule)
    assert house.app.decisions.of_nobody("192.0.2.66") == [trace]


def test_a_file_that_is_not_there(house: House) -> None:
    house.ask(phone())
    trace = asked(house, phone("nothing.cfg"))
    assert (trace["device"], trace["plugin"], trace["file"]) == (house.the_device()["id"], PLUGIN_ID, None)


def test_a_corrected_phone(house: House) -> None:
    house.app.configs.add(own_config("mine"))
    house.app.devices.add({"id": "d", "mac": MAC, "vendor": "X", "config": "mine", "plugin": "xivo-x-1"})
    trace = asked(house, phone())
    assert trace["changes"]["vendor"] == {"old": "X", "new": "Sample"}
    assert trace["changes"]["plugin"] == {"old": "xivo-x-1", "new": PLUGIN_ID}
    assert trace["support"] == {PLUGIN_ID: "EXACT"}


def test_a_phone_that_the_store_turns_away(house: House) -> None:
    house.backend.refuses = always
    assert house.ask(phone()) is Problem.UNAVAILABLE
    trace = last(house)
    assert (trace["device"], trace["plugin"], trace["file"]) == (None, None, None)


class Unforeseen(Exception):
    """Nobody has thought of this."""


def fails(*_: object) -> Any:
    raise Unforeseen


@pytest.mark.parametrize("where", ["find", "why_not_admitted", "wanted"])
def test_what_fails_in_a_way_that_nobody_has_thought_of(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Of all requests, that is the one that somebody will ask about."""
    monkeypatch.setattr(house.app.phones._recogniser, where, fails)
    for ask in (lambda: house.ask(phone()), lambda: house.told(lease())):
        before = len(house.app.decisions)
        with pytest.raises(Unforeseen):
            ask()
        assert len(house.app.decisions) == before + 1
        assert last(house)["result"] == "failed: Unforeseen; the server's log says why"


def test_leases_have_traces_too(house: House) -> None:
    house.told(lease())
    trace = last(house)
    device_id = house.the_device()["id"]
    assert (trace["protocol"], trace["address"], trace["path"], trace["user_agent"]) == (
        "dhcp", "192.0.2.101", "commit", "",
    )  # fmt: skip
    assert trace["extracted"] == {PLUGIN_ID: {"vendor": "Sample", "model": "S100"}}
    assert trace["identity"] == {"vendor": "Sample", "model": "S100", "mac": MAC}
    assert (trace["device"], trace["admission"], trace["result"]) == (device_id, ADMITTED, "noted")
    assert trace["duration_s"] >= 0
    house.told(lease(op=RELEASE))
    trace = last(house)
    assert (trace["device"], trace["result"]) == (device_id, "address forgotten")
    house.told(lease(mac=OTHER_MAC, vendor_class=None))
    trace = last(house)
    assert (trace["device"], trace["admission"]) == (None, UNKNOWN_VENDOR)
    assert [each["path"] for each in house.app.decisions.of_device(device_id)] == ["release", "commit"]


def test_no_trace_holds_a_secret(house: House) -> None:
    """No value of a config, no content of a file, no query, and of options only what a plugin made of them."""
    house.ask(phone())
    device = house.the_device()
    secret = "s3cret"
    config = own_config(device["config"], secret)
    config["raw_config"]["admin_password"] = secret
    house.app.configs.change(device["config"], config)
    house.app.devices.change(device["id"], {**device, "options": {"x": secret}, "description": secret})
    request = phone(version="2.0")
    request.query = f"password={secret}"
    request.headers = {**request.headers, "authorization": f"Basic {secret}", "cookie": secret}
    content = house.ask(request)
    assert isinstance(content, bytes)
    assert secret.encode() in content
    write(house.root().parent / "templates/base.tpl", "{{ broken")
    house.app.devices.reconfigure(device["id"])
    house.ask(phone(version="3.0"))
    event = lease("192.0.2.200")
    house.told(event.__class__(event.op, event.ip, event.mac, {**event.options, 77: secret.encode()}))
    traces = house.app.decisions.latest()
    assert len(traces) == 4
    assert secret not in json.dumps(traces)


def test_the_traces_of_a_removed_device_are_there_for_a_while(house: House) -> None:
    house.ask(phone())
    device_id = house.the_device()["id"]
    house.app.devices.remove(device_id)
    assert len(house.app.decisions.of_device(device_id)) == 1


def test_a_flood_of_nobodys_requests_leaves_a_phones_traces(house: House) -> None:
    house.ask(phone())
    for number in range(3000):
        house.ask(HttpRequest(f"198.51.{number % 250}.1", f"{number}"))
    assert len(house.app.decisions.of_device(house.the_device()["id"])) == 1
    assert len(house.app.decisions.of_nobody(limit=10_000)) == 2000


@pytest.mark.parametrize("limits", [{"address_burst": 1}, {"burst": 1}, {"max_unclaimed": 1}])
def test_a_phone_that_a_limit_keeps_out(house: House, limits: dict[str, int]) -> None:
    house.app.admission.use(AdmissionLimits(**limits))
    house.ask(phone())
    trace = asked(house, phone(OTHERS, mac=OTHER_MAC))
    assert trace["admission"].startswith("refused: too many ")

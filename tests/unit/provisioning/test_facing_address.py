"""Which of this server's addresses a phone is told: the one on the interface that faces it."""

from __future__ import annotations

from .house import MAC, OWN, House, phone

OFFICE, WORKSHOP = "192.0.2.101", "198.51.100.7"


def facing(address: str) -> str | None:
    """A machine with an interface in each of two networks."""
    return {"192.0.2": "192.0.2.10", "198.51.100": "198.51.100.1"}.get(address.rpartition(".")[0])


def told(house: House) -> str:
    """The server's address in the phone's file."""
    return house.files()[OWN].split(" at=")[1].strip()


def test_each_phone_is_told_the_address_that_faces_it(house: House) -> None:
    house.close()
    house.open(address_facing=facing)
    house.ask(phone(address=WORKSHOP))
    assert told(house) == "198.51.100.1"


def test_a_phone_that_moves_to_another_interface_is_told_the_address_there(house: House) -> None:
    house.close()
    house.open(address_facing=facing)
    house.ask(phone(address=OFFICE))
    assert told(house) == "192.0.2.10"
    house.ask(phone(address=WORKSHOP))
    assert told(house) == "198.51.100.1"
    device = house.the_device()
    house.app.devices.change(device["id"], {**device, "ip": OFFICE})
    assert told(house) == "192.0.2.10"


def test_a_phone_that_moves_within_a_network_is_not_made_anew(house: House) -> None:
    house.close()
    house.open(address_facing=facing)
    house.ask(phone(address=OFFICE))
    before = house.root() / OWN
    identity = before.stat().st_ino
    house.ask(phone(address="192.0.2.102"))
    assert house.the_device()["ip"] == "192.0.2.102"
    assert before.stat().st_ino == identity


def test_where_there_is_no_way_to_the_phone_it_is_told_the_usual_address(house: House) -> None:
    house.close()
    house.open(address_facing=facing)
    house.ask(phone(address="203.0.113.9"))
    assert told(house) == "192.0.2.10"


def test_a_configured_address_is_told_to_all(house: House) -> None:
    house.ask(phone(address=WORKSHOP))
    assert told(house) == "192.0.2.10"
    assert house.the_device()["mac"] == MAC

"""After an unclean stop no phone is given a file that is not as the store says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from provd.provisioning.recheck import Recheck, give_way
from provd.store.schema import PARAMETERS
from provd.store.sqlite import SqliteBackend

from ..plugins.sample import PLUGIN_ID, write
from ..store.steered import all_done, always, wait_until
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone, phone_number


def damage(house: House, path: str = OWN) -> None:
    (house.root() / path).write_bytes(b"")


@pytest.mark.parametrize("missing", [False, True], ids=["damaged", "missing"])
def test_a_file_is_repaired_before_it_is_served(house: House, missing: bool) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    if missing:
        (house.root() / OWN).unlink()
    house.open()
    assert house.ask_quick(phone()) is None
    assert house.ask(phone()) == expected
    assert house.ask_quick(phone()) == expected


def test_all_files_are_repaired_in_the_background(house: House) -> None:
    for number in range(20):
        house.ask(phone_number(number))
    before = house.files()
    house.kill()
    for path in before:
        damage(house, path)
    house.open()
    assert len(house.app.recheck) == 20
    house.wait_for_recheck()
    assert house.files() == before
    assert {change.collection for changes in house.backend.commits for change in changes} == {PARAMETERS}


def test_a_phone_that_asks_is_taken_before_its_turn(house: House) -> None:
    for number in range(50):
        house.ask(phone_number(number))
    last = phone_number(49)
    expected = house.ask(last)
    house.kill()
    for path in house.files():
        damage(house, path)
    house.open()
    assert house.ask(last) == expected
    assert len(house.app.recheck) == 49


def test_after_a_clean_stop_nothing_is_rechecked(house: House) -> None:
    house.ask(phone())
    house.close()
    house.open()
    assert len(house.app.recheck) == 0


def test_other_addresses_of_the_server_reach_all_files(house: House) -> None:
    house.ask(phone())
    house.close()
    house.open({"ip": "192.0.2.99"})
    assert house.ask(phone()) == house.files()[OWN].encode()
    assert house.files()[OWN].endswith("at=192.0.2.99")
    house.close()
    house.open({"ip": "192.0.2.99"})
    assert len(house.app.recheck) == 0


def test_devices_that_waited_for_a_plugin_are_configured_when_it_comes(house: House) -> None:
    house.app.configs.add(own_config("c"))
    house.close()
    folder = house.root().parents[1]
    folder.rename(house.folder / "later")
    house.open()
    house.app.devices.add({"id": "d", "mac": MAC, "plugin": PLUGIN_ID, "config": "c"})
    house.close()
    (house.folder / "later").rename(folder)
    house.open()
    house.wait_for_recheck()
    assert list(house.files()) == [OWN]
    assert house.the_device()["configured"] is True


def test_a_device_that_fails_does_not_keep_the_rest_from_being_repaired(house: House) -> None:
    for number in (1, 2, 3):
        house.ask(phone_number(number))
    before = house.files()
    write(house.root().parent / "templates/00085D000001.cfg.tpl", "{{ broken")
    house.kill()
    for path in before:
        damage(house, path)
    house.open()
    house.wait_for_recheck()
    after = house.files()
    assert {path for path in before if after[path] == before[path]} == {OTHERS, "Sample/00085D000003.cfg"}


def test_a_store_that_fails_for_one_device_does_not_keep_the_rest_from_being_repaired(house: House) -> None:
    for name, mac in (("a", MAC), ("b", OTHER_MAC)):
        house.app.configs.add(own_config(name))
        house.app.devices.add({"id": name, "mac": mac, "plugin": PLUGIN_ID, "config": name})
    before = house.files()
    write(house.root().parent / "templates/00085D000001.cfg.tpl", "{{ broken: a result that has to be stored")
    house.kill()
    damage(house, OTHERS)
    house.open()
    house.backend.refuses = always
    wait_until(lambda: house.files() == before)
    assert house.app.recheck.is_waiting("a"), "what could not be stored is tried again"


def test_files_are_repaired_also_while_the_store_cannot_write(house: House) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    house.open()
    house.backend.refuses = always
    assert house.ask(phone()) == expected


def test_files_are_repaired_also_for_a_phone_whose_news_cannot_be_stored(house: House) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    house.open()
    house.backend.refuses = always
    assert house.ask(phone(address="192.0.2.77")) == expected


def test_what_was_not_looked_at_before_a_clean_stop_is_looked_at_after_it(house: House) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    house.open()
    house.close()
    house.open()
    assert house.ask(phone()) == expected


def test_a_start_that_failed_after_a_kill_does_not_hide_it(house: House) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    SqliteBackend(house.folder / "provd.db").close(as_found=True)
    house.open()
    assert house.ask(phone()) == expected


def test_other_addresses_reach_files_that_were_not_looked_at_before_a_clean_stop(house: House) -> None:
    for number in range(50):
        house.ask(phone_number(number))
    house.close()
    house.open({"ip": "192.0.2.99"})
    assert len(house.app.recheck) > 10
    house.close()
    house.open({"ip": "192.0.2.99"})
    house.wait_for_recheck()
    assert [path for path, content in house.files().items() if not content.endswith("at=192.0.2.99")] == []


@pytest.fixture
def damaged_config(house: House) -> dict[str, str]:
    """Two phones after a kill; the config of the first lacks what every config has. The files as they were."""
    for name, mac in (("a", MAC), ("b", OTHER_MAC)):
        house.app.configs.add(own_config(name))
        house.app.devices.add({"id": name, "mac": mac, "plugin": PLUGIN_ID, "config": name})
    before = house.files()
    house.kill()
    connection = sqlite3.connect(house.folder / "provd.db")
    connection.execute("UPDATE documents SET document = ? WHERE collection = 'configs' AND id = 'a'", ('{"id":"a"}',))
    connection.commit()
    connection.close()
    return before


def test_a_document_that_nobody_foresaw_does_not_end_the_recheck(house: House, damaged_config: dict[str, str]) -> None:
    damage(house, OTHERS)
    house.open()
    wait_until(lambda: house.files() == damaged_config)


def test_a_phone_whose_config_is_damaged_is_given_its_last_good_file(
    house: House, damaged_config: dict[str, str]
) -> None:
    house.open()
    assert house.ask(phone()) == damaged_config[OWN].encode()


def test_a_request_and_the_recheck_of_one_device_do_not_meet(house: House) -> None:
    expected = house.ask(phone())
    house.kill()
    damage(house)
    house.open()
    asking = [gevent.spawn(house.ask, phone()) for _ in range(20)]
    all_done(*asking)
    assert {each.value for each in asking} == {expected}
    assert len(house.app.recheck) == 0


def test_stopping_in_the_middle_leaves_the_store_usable(house: House) -> None:
    for number in range(20):
        house.ask(phone_number(number))
    house.kill()
    house.open({"ip": "192.0.2.99"})
    gevent.sleep(0)
    house.app.end()
    house.app.end()
    house.app.configs.add(own_config("c"))
    assert "c" in house.configs


# --- the queue


@pytest.fixture
def queue() -> Iterator[Recheck]:
    """A queue whose worker never gets its first device done."""
    queue = Recheck(lambda _device_id: str(Event().wait()), lambda: None)
    yield queue
    queue.stop()


def test_a_device_waits_until_its_files_are_made(queue: Recheck) -> None:
    queue.add(["a", "b"])
    with queue.turn("b") as is_waiting:
        assert is_waiting
        assert queue.is_waiting("b")
    assert not queue.is_waiting("b")
    with queue.turn("b") as is_waiting:
        assert not is_waiting
    assert len(queue) == 1


def test_a_device_that_is_put_in_again_in_its_turn_has_another_one(queue: Recheck) -> None:
    queue.add(["a"])
    with queue.turn("a"):
        queue.add(["a"])
    assert queue.is_waiting("a")


def test_a_device_whose_turn_was_broken_off_stays_in_the_queue(queue: Recheck) -> None:
    queue.add(["a"])
    with pytest.raises(OSError, match="disk"), queue.turn("a"):
        raise OSError("disk")
    assert queue.is_waiting("a")


def test_a_stop_in_the_middle_of_a_turn_leaves_the_device_in_the_queue() -> None:
    def configure(device_id: str) -> str | None:
        with queue.turn(device_id):
            begun.set()
            Event().wait()
        return None

    begun, queue = Event(), Recheck(configure, lambda: None)
    queue.add(["a"])
    assert begun.wait(5)
    queue.stop()
    assert queue.is_waiting("a")


# --- giving way to phones


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_who_gives_way_lets_each_phone_go_on_whose_packet_has_come(ends: tuple[socket.socket, socket.socket]) -> None:
    phone, server = ends
    answered = gevent.spawn(server.recv, 1)
    gevent.sleep(0)
    phone.send(b"x")
    give_way()
    assert answered.ready()


def test_phones_that_never_stop_asking_do_not_stop_the_work(ends: tuple[socket.socket, socket.socket]) -> None:
    def echo(end: socket.socket) -> None:
        while True:
            end.send(end.recv(1))

    ends[0].send(b"x")
    storm = [gevent.spawn(echo, end) for end in ends]
    try:
        with gevent.Timeout(10):
            for _ in range(20):
                give_way()
    finally:
        gevent.killall(storm)

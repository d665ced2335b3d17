"""When a transfer sends again, and when it gives the client up."""

from __future__ import annotations

import pytest

from provd.wire.tftp_options import Negotiated
from provd.wire.tftp_transfer import Outcome, Transfer

from .simulation import Content, ack, blocks_of

PLAIN = Negotiated()
WITH_OPTIONS = Negotiated(answer={"tsize": "2000"})
WINDOW = Negotiated(windowsize=4, answer={"windowsize": "4"})


def begun(options: Negotiated = PLAIN, now: float = 0.0) -> Transfer:
    transfer = Transfer(Content(b"x" * 512 * 20), options)
    transfer.start(now)
    return transfer


def left_alone(transfer: Transfer) -> tuple[list[bytes], list[float]]:
    """What a transfer sends to a client that says nothing more, and the pauses before each deadline."""
    packets, pauses, now = [], [], 0.0
    while transfer.outcome is None:
        pauses.append(transfer.deadline - now)
        now = transfer.deadline
        packets += transfer.on_deadline(now)
    return packets, pauses


def test_the_first_deadline_is_a_second_after_the_start() -> None:
    assert begun(now=100.0).deadline == 101.0


def test_a_lost_block_is_sent_again_at_the_deadline() -> None:
    transfer = begun()
    assert blocks_of(transfer.on_deadline(1.0)) == [1]
    assert transfer.outcome is None


def test_lost_options_are_sent_again_at_the_deadline() -> None:
    assert begun(WITH_OPTIONS).on_deadline(1.0) == [b"\0\6tsize\x002000\0"]


@pytest.mark.parametrize("options", [PLAIN, WITH_OPTIONS, WINDOW], ids=["plain", "options", "window"])
def test_a_client_that_never_acknowledges_gets_three_packets(options: Negotiated) -> None:
    transfer = begun(options)
    packets, pauses = left_alone(transfer)
    assert len(packets) == 2
    assert pauses == [1.0, 2.0, 4.0]
    assert transfer.outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("timeout_s", [1, 4, 5, 6, 60, 255])
def test_a_client_that_never_acknowledges_is_given_up_within_15_seconds_whatever_it_asked_for(timeout_s: int) -> None:
    transfer = begun(Negotiated(timeout_s=timeout_s, answer={"timeout": str(timeout_s)}))
    packets, pauses = left_alone(transfer)
    assert len(packets) == 2
    assert pauses == [min(timeout_s, 5)] * 3
    assert transfer.outcome is Outcome.TIMED_OUT


def test_the_timeout_that_a_client_chose_begins_with_its_first_acknowledgement() -> None:
    transfer = begun(Negotiated(timeout_s=60, answer={"timeout": "60"}))
    assert transfer.deadline == 5.0
    transfer.on_packet(ack(0), 1.0)
    assert transfer.deadline == 61.0


def test_stray_acknowledgements_do_not_make_a_client_known() -> None:
    transfer = begun()
    for number in (0, 2, 999):
        transfer.on_packet(ack(number), 0.1)
    packets, _ = left_alone(transfer)
    assert len(packets) == 2


def test_a_client_that_stops_answering_gets_its_block_six_times_within_half_a_minute() -> None:
    transfer = begun()
    transfer.on_packet(ack(1), 0.0)
    packets, pauses = left_alone(transfer)
    assert blocks_of(packets) == [2] * 5
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert transfer.outcome is Outcome.TIMED_OUT


def test_a_window_that_is_not_answered_is_sent_six_times() -> None:
    transfer = begun(WINDOW)
    transfer.on_packet(ack(0), 0.0)
    packets, _ = left_alone(transfer)
    assert blocks_of(packets) == [1, 2, 3, 4] * 5


def test_the_next_block_begins_again_with_the_short_pause() -> None:
    transfer = begun()
    transfer.on_deadline(1.0)
    transfer.on_deadline(3.0)
    transfer.on_packet(ack(1), 5.0)
    assert transfer.deadline == 6.0


def test_each_block_has_all_its_sends() -> None:
    transfer = begun()
    transfer.on_packet(ack(1), 0.0)
    for _ in range(5):
        transfer.on_deadline(transfer.deadline)
    transfer.on_packet(ack(2), 100.0)
    packets, _ = left_alone(transfer)
    assert blocks_of(packets) == [3] * 5


@pytest.mark.parametrize(("timeout_s", "sends"), [(1, 6), (3, 6), (20, 6), (40, 3), (255, 2)])
def test_a_timeout_that_the_client_chose_is_used_as_it_is_within_bounds(timeout_s: int, sends: int) -> None:
    transfer = begun(Negotiated(timeout_s=timeout_s, answer={"timeout": str(timeout_s)}))
    assert transfer.fixed_timeout
    transfer.on_packet(ack(0), 0.0)
    transfer.on_packet(ack(1), 0.0)
    _, pauses = left_alone(transfer)
    assert pauses == [timeout_s] * sends


def test_a_timeout_that_the_client_chose_stays_after_progress() -> None:
    transfer = begun(Negotiated(timeout_s=5, answer={"timeout": "5"}))
    transfer.on_deadline(5.0)
    transfer.on_packet(ack(0), 6.0)
    assert transfer.deadline == 11.0


def test_nothing_is_sent_when_the_client_is_given_up() -> None:
    transfer = begun()
    transfer.on_deadline(1.0)
    transfer.on_deadline(3.0)
    assert transfer.on_deadline(7.0) == []
    assert transfer.outcome is Outcome.TIMED_OUT


def test_an_acknowledgement_after_the_client_was_given_up_changes_nothing() -> None:
    transfer = begun()
    left_alone(transfer)
    assert transfer.on_packet(ack(1), 60.0) == []
    assert transfer.outcome is Outcome.TIMED_OUT

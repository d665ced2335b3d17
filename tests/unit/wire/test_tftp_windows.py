"""Transfers with a window of several blocks (RFC 7440)."""

from __future__ import annotations

import pytest

from provd.wire.tftp_options import Negotiated
from provd.wire.tftp_transfer import Outcome, Transfer

from .simulation import Client, Content, Fate, ack, blocks_of, content_of, run


def negotiated(windowsize: int, blksize: int = 512) -> Negotiated:
    return Negotiated(blksize, windowsize, answer={"blksize": str(blksize), "windowsize": str(windowsize)})


def begun(windowsize: int = 4, blocks: int = 20) -> tuple[Transfer, list[bytes]]:
    """A transfer whose options the client has acknowledged, and its first window."""
    transfer = Transfer(Content(b"x" * (512 * blocks - 1)), negotiated(windowsize))
    transfer.start(0.0)
    return transfer, transfer.on_packet(ack(0), 0.1)


@pytest.mark.parametrize("windowsize", range(1, 17))
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 512 * 16, 512 * 16 + 1, 512 * 33])
def test_a_file_of_any_size_arrives_in_windows_of_any_size(windowsize: int, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    transfer, client = Transfer(Content(content), negotiated(windowsize)), Client(512, windowsize)
    trace = run(transfer, client)
    assert transfer.outcome is Outcome.COMPLETE
    assert client.content == content
    assert trace.data_packets == size // 512 + 1
    assert trace.deadlines == 0


def test_a_window_is_sent_at_once() -> None:
    _, packets = begun(4)
    assert blocks_of(packets) == [1, 2, 3, 4]


def test_a_window_ends_with_the_file() -> None:
    _, packets = begun(8, blocks=3)
    assert blocks_of(packets) == [1, 2, 3]
    assert len(content_of(packets[-1:])) == 511


def test_the_next_window_follows_the_acknowledgement_of_the_last_block() -> None:
    transfer, _ = begun(4)
    assert blocks_of(transfer.on_packet(ack(4), 0.2)) == [5, 6, 7, 8]


def test_after_a_lost_middle_block_the_window_starts_again_behind_the_last_good_one() -> None:
    transfer, _ = begun(4)
    assert blocks_of(transfer.on_packet(ack(2), 0.2)) == [3, 4, 5, 6]


def test_after_a_lost_first_block_the_whole_window_comes_again() -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(4), 0.2)
    assert blocks_of(transfer.on_packet(ack(4), 0.3)) == [5, 6, 7, 8]


def test_after_a_lost_last_block_the_window_comes_again_at_the_deadline() -> None:
    transfer, _ = begun(4)
    assert blocks_of(transfer.on_deadline(transfer.deadline)) == [1, 2, 3, 4]


def test_the_same_acknowledgement_starts_a_window_again_only_once() -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(4), 0.2)
    assert len(transfer.on_packet(ack(4), 0.3)) == 4
    for _ in range(100):
        assert transfer.on_packet(ack(4), 0.4) == []


def test_every_second_window_may_be_started_again() -> None:
    """Behind a window that was sent twice, the acknowledgement that comes again may be that of its second copy."""
    transfer, _ = begun(4)
    for block in (4, 12):
        assert blocks_of(transfer.on_packet(ack(block), 0.2)) == [block + 1, block + 2, block + 3, block + 4]
        assert blocks_of(transfer.on_packet(ack(block), 0.3))[0] == block + 1
        assert blocks_of(transfer.on_packet(ack(block + 4), 0.4))[0] == block + 5


def test_acknowledgements_of_the_second_copy_of_a_window_start_none() -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(4), 0.2)
    assert len(transfer.on_packet(ack(4), 0.2)) == 4, "doubled on its way"
    assert blocks_of(transfer.on_packet(ack(8), 0.3)) == [9, 10, 11, 12]
    for _ in range(4):
        assert transfer.on_packet(ack(8), 0.3) == []
    assert blocks_of(transfer.on_packet(ack(12), 0.4)) == [13, 14, 15, 16]


def test_acknowledgements_of_blocks_behind_a_lost_one_start_the_window_again_once() -> None:
    transfer, _ = begun(4)
    assert blocks_of(transfer.on_packet(ack(1), 0.2)) == [2, 3, 4, 5]
    for _ in range(2):
        assert transfer.on_packet(ack(1), 0.2) == [], "3 and 4 of the first window came without 2"
    assert blocks_of(transfer.on_packet(ack(1), 0.3)) == [2, 3, 4, 5], "2 was lost again"


def test_behind_a_window_that_was_sent_again_a_lost_one_comes_again_at_the_deadline() -> None:
    transfer, _ = begun(4)
    transfer.on_deadline(transfer.deadline)
    transfer.on_packet(ack(4), 1.5)
    for _ in range(4):
        assert transfer.on_packet(ack(4), 1.6) == []
    assert blocks_of(transfer.on_packet(ack(4), 1.7)) == [5, 6, 7, 8]


@pytest.mark.parametrize("windowsize", [2, 4, 8, 16])
@pytest.mark.parametrize("windows", [0, 1, 2])
@pytest.mark.parametrize("late", [Fate.DOUBLED, Fate.DOUBLED_LATE])
def test_one_doubled_acknowledgement_does_not_double_the_rest_of_the_transfer(
    windowsize: int, windows: int, late: Fate
) -> None:
    """The Sorcerer's Apprentice with windows, and a client that acknowledges every block that it has already."""
    content = bytes(index % 251 for index in range(512 * 200))
    transfer, client = Transfer(Content(content), negotiated(windowsize)), Client(512, windowsize)
    trace = run(transfer, client, [Fate.DELIVERED] * (1 + windows * (windowsize + 1)) + [late])
    assert client.content == content
    assert trace.data_packets <= 201 + windowsize


def test_a_repeated_window_counts_as_a_send() -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(4), 0.2)
    transfer.on_packet(ack(4), 0.3)
    deadlines = 0
    while transfer.outcome is None:
        transfer.on_deadline(transfer.deadline)
        deadlines += 1
    assert deadlines == 5


@pytest.mark.parametrize("number", [9, 3, 0, 65_535])
def test_an_ack_outside_the_window_changes_nothing(number: int) -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(4), 0.2)
    assert transfer.on_packet(ack(number), 0.3) == []
    assert blocks_of(transfer.on_packet(ack(8), 0.4)) == [9, 10, 11, 12]


def test_a_late_ack_of_a_block_sent_before_the_window_was_started_again_still_counts() -> None:
    transfer, _ = begun(4)
    transfer.on_packet(ack(1), 0.2)
    assert blocks_of(transfer.on_packet(ack(4), 0.3)) == [5, 6, 7, 8]


def test_the_acknowledgement_of_the_last_block_completes_the_transfer() -> None:
    transfer, _ = begun(16, blocks=3)
    assert transfer.on_packet(ack(3), 0.2) == []
    assert transfer.outcome is Outcome.COMPLETE


def test_an_acknowledgement_inside_the_last_window_does_not_complete_the_transfer() -> None:
    transfer, _ = begun(16, blocks=3)
    assert blocks_of(transfer.on_packet(ack(2), 0.2)) == [3]
    assert transfer.outcome is None


def test_block_numbers_roll_over_inside_a_window() -> None:
    content = bytes(index % 251 for index in range(8 * 65_540))
    transfer, client = Transfer(Content(content), negotiated(7, blksize=8)), Client(8, 7)
    trace = run(transfer, client)
    assert client.content == content
    assert blocks_of(trace.sent[65_534:65_539]) == [65_534, 65_535, 0, 1, 2]


def test_a_block_lost_at_the_roll_over_starts_the_window_again_there() -> None:
    transfer = Transfer(Content(b"x" * 8 * 65_560), negotiated(8, blksize=8))
    transfer.start(0.0)
    for block in range(0, 65_529, 8):
        packets = transfer.on_packet(ack(block), 0.1)
    assert blocks_of(packets) == [65_529, 65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 0]
    assert blocks_of(transfer.on_packet(ack(65_535), 0.2)) == [0, 1, 2, 3, 4, 5, 6, 7]

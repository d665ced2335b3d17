"""A transfer in lock-step: one block, one acknowledgement."""

from __future__ import annotations

import pytest

from provd.wire.tftp_options import Negotiated
from provd.wire.tftp_packets import HEADER, ErrorCode, Opcode, encode_error
from provd.wire.tftp_transfer import Outcome, Transfer

from .simulation import Client, Content, ack, blocks_of, content_of, run

PLAIN = Negotiated()
WITH_OPTIONS = Negotiated(answer={"blksize": "512"})


class BrokenFile:
    """A file of which the disk gives only the first bytes."""

    def __init__(self, size: int, readable: int, *, raises: bool) -> None:
        self.size = size
        self._readable = readable
        self._raises = raises

    def read(self, offset: int, size: int) -> bytes:
        if offset + size <= self._readable:
            return b"x" * size
        if self._raises:
            raise OSError("the disk is broken")
        return b"x" * max(self._readable - offset, 0)


def begun(content: bytes = b"x" * 2000, options: Negotiated = PLAIN) -> Transfer:
    transfer = Transfer(Content(content), options)
    transfer.start(0.0)
    return transfer


# --- the file arrives


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1023, 1024, 1025, 5120])
@pytest.mark.parametrize("options", [PLAIN, WITH_OPTIONS], ids=["plain", "options"])
def test_a_file_of_any_size_arrives_and_ends_with_a_short_block(size: int, options: Negotiated) -> None:
    content = bytes(index % 251 for index in range(size))
    transfer, client = Transfer(Content(content), options), Client(512)
    trace = run(transfer, client)
    assert transfer.outcome is Outcome.COMPLETE
    assert (client.finished, bytes(client.content)) == (True, content)
    assert trace.data_packets == size // 512 + 1
    assert trace.deadlines == 0


@pytest.mark.parametrize("blksize", [8, 1428, 65464])
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_file_of_whole_blocks_ends_with_an_empty_one(blksize: int, blocks: int) -> None:
    transfer, client = Transfer(Content(b"x" * blksize * blocks), Negotiated(blksize)), Client(blksize)
    trace = run(transfer, client)
    assert client.content == b"x" * blksize * blocks
    assert trace.data_packets == blocks + 1
    assert content_of(trace.sent[-1:]) == b""


def test_without_options_the_first_packet_is_the_first_block() -> None:
    packets = Transfer(Content(b"abc"), PLAIN).start(0.0)
    assert packets == [b"\0\3\0\1abc"]


def test_agreed_options_are_told_first_and_data_waits_for_their_acknowledgement() -> None:
    transfer = Transfer(Content(b"abc"), WITH_OPTIONS)
    assert transfer.start(0.0) == [b"\0\6blksize\x00512\0"]
    assert transfer.on_packet(ack(0), 0.1) == [b"\0\3\0\1abc"]


def test_only_block_zero_acknowledges_options() -> None:
    transfer = begun(options=WITH_OPTIONS)
    assert transfer.on_packet(ack(1), 0.1) == []
    assert transfer.answered is False


def test_block_numbers_roll_over_to_zero() -> None:
    content = bytes(index % 251 for index in range(8 * 65_537 + 3))
    transfer, client = Transfer(Content(content), Negotiated(8)), Client(8)
    trace = run(transfer, client)
    assert client.content == content
    assert blocks_of(trace.sent[65_533:65_538]) == [65_534, 65_535, 0, 1, 2]


def test_the_acknowledgement_of_the_last_block_completes_the_transfer() -> None:
    transfer = begun(b"abc")
    assert transfer.on_packet(ack(1), 0.1) == []
    assert transfer.outcome is Outcome.COMPLETE


def test_everything_is_sent_when_the_last_block_is() -> None:
    transfer = begun(b"x" * 600)
    assert transfer.sent_everything is False
    transfer.on_packet(ack(1), 0.1)
    assert transfer.sent_everything is True


def test_options_are_not_yet_everything() -> None:
    transfer = begun(b"abc", WITH_OPTIONS)
    assert transfer.sent_everything is False
    transfer.on_packet(ack(0), 0.1)
    assert transfer.sent_everything is True


# --- what the client must not get


def test_a_duplicate_ack_causes_no_duplicate_data() -> None:
    transfer = begun()
    assert blocks_of(transfer.on_packet(ack(1), 0.1)) == [2]
    assert transfer.on_packet(ack(1), 0.2) == []


def test_a_duplicate_acknowledgement_of_the_options_causes_no_duplicate_data() -> None:
    transfer = begun(options=WITH_OPTIONS)
    assert blocks_of(transfer.on_packet(ack(0), 0.1)) == [1]
    assert transfer.on_packet(ack(0), 0.2) == []


def test_a_duplicate_ack_does_not_put_the_deadline_off() -> None:
    transfer = begun()
    transfer.on_packet(ack(1), 0.1)
    deadline = transfer.deadline
    transfer.on_packet(ack(1), 0.9)
    assert transfer.deadline == deadline


@pytest.mark.parametrize("number", [0, 3, 4, 1000, 32_768, 65_535])
def test_an_ack_of_a_block_that_is_not_under_way_changes_nothing(number: int) -> None:
    transfer = begun()
    transfer.on_packet(ack(1), 0.1)
    deadline = transfer.deadline
    assert transfer.on_packet(ack(number), 0.2) == []
    assert (transfer.outcome, transfer.deadline) == (None, deadline)
    assert blocks_of(transfer.on_packet(ack(2), 0.3)) == [3]


def test_an_ack_of_the_block_that_has_the_number_of_a_future_one_is_stray() -> None:
    transfer = begun(b"x" * 600)
    assert transfer.on_packet(ack(2), 0.1) == []
    assert transfer.outcome is None


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\4", b"\0\4\0", b"\0\5", b"\0\5\0"])
def test_a_packet_without_a_whole_header_changes_nothing(packet: bytes) -> None:
    transfer = begun()
    assert transfer.on_packet(packet, 0.1) == []
    assert transfer.outcome is None


@pytest.mark.parametrize("opcode", [0, 1, 2, 3, 6, 7, 0x0104, 0x0400, 0xFFFF])
def test_other_packets_than_acknowledgements_and_errors_change_nothing(opcode: int) -> None:
    transfer = begun()
    assert transfer.on_packet(HEADER.pack(opcode, 1), 0.1) == []
    assert (transfer.outcome, transfer.answered) == (None, False)


# --- how a transfer ends before its time


@pytest.mark.parametrize("code", [ErrorCode.UNDEFINED, ErrorCode.DISK_FULL, ErrorCode.OPTION_REFUSED])
def test_an_error_of_the_client_ends_the_transfer_without_an_answer(code: ErrorCode) -> None:
    transfer = begun()
    assert transfer.on_packet(encode_error(code, "no thanks"), 0.1) == []
    assert transfer.outcome is Outcome.ABORTED


def test_an_error_without_text_ends_the_transfer_too() -> None:
    transfer = begun(options=WITH_OPTIONS)
    transfer.on_packet(HEADER.pack(Opcode.ERROR, ErrorCode.OPTION_REFUSED), 0.1)
    assert transfer.outcome is Outcome.ABORTED


@pytest.mark.parametrize("raises", [True, False], ids=["error", "shorter"])
@pytest.mark.parametrize("readable", [0, 600, 1400])
def test_a_file_that_cannot_be_read_to_its_end_is_an_error_for_the_client(readable: int, raises: bool) -> None:
    transfer, client = Transfer(BrokenFile(1500, readable, raises=raises), PLAIN), Client(512)
    packets, block = transfer.start(0.0), 0
    while transfer.outcome is None:
        client.on_packet(packets[0])
        block += 1
        packets = transfer.on_packet(ack(block), 0.1)
    assert transfer.outcome is Outcome.READ_ERROR
    assert packets == [encode_error(ErrorCode.UNDEFINED, "the file cannot be read")]
    assert len(client.content) == readable // 512 * 512
    assert not client.finished


@pytest.mark.parametrize("last_packet", [ack(1), encode_error(ErrorCode.UNDEFINED, "")], ids=["complete", "aborted"])
def test_packets_after_the_end_change_nothing(last_packet: bytes) -> None:
    transfer = begun(b"abc")
    transfer.on_packet(last_packet, 0.1)
    outcome = transfer.outcome
    assert outcome is not None
    for packet in (ack(1), ack(0), encode_error(ErrorCode.UNDEFINED, "")):
        assert transfer.on_packet(packet, 0.2) == []
        assert transfer.outcome is outcome

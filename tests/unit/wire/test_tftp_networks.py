"""Transfers over networks that lose, repeat, reorder and delay packets: the file arrives, or the transfer ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from provd.wire.tftp_options import Negotiated
from provd.wire.tftp_packets import encode_data
from provd.wire.tftp_transfer import MAX_SENDS, MAX_UNANSWERED_SENDS, Outcome, Transfer

from .simulation import Client, Content, Fate, run

HALF_A_MINUTE_S = 1 + 2 + 4 + 8 + 8 + 8
CONTENT = bytes(index * 7 % 253 for index in range(4000))

many_examples = settings(deadline=None, derandomize=True, max_examples=300)
fates = st.lists(st.sampled_from(Fate), max_size=60)
mild_fates = st.lists(st.sampled_from([fate for fate in Fate if fate is not Fate.LOST]), max_size=60)
sizes = st.one_of(
    st.sampled_from([0, 1, 7, 8, 9, 511, 512, 513, 1024, 1025]), st.integers(0, len(CONTENT)), st.just(3584)
)


def transfer_of(size: int, blksize: int, windowsize: int, *, with_options: bool) -> Transfer:
    answer = {"blksize": str(blksize), "windowsize": str(windowsize)} if with_options else {}
    return Transfer(Content(CONTENT[:size]), Negotiated(blksize, windowsize, answer=answer))


@many_examples
@given(
    size=sizes,
    blksize=st.sampled_from([8, 9, 100, 512, 1428, 65464]),
    windowsize=st.integers(1, 16),
    with_options=st.booleans(),
    fates=fates,
)
def test_the_file_arrives_intact_or_the_transfer_ends_within_its_bounds(
    size: int, blksize: int, windowsize: int, with_options: bool, fates: list[Fate]
) -> None:
    windowsize = windowsize if with_options else 1
    transfer = transfer_of(size, blksize, windowsize, with_options=with_options)
    client = Client(blksize, windowsize)
    trace = run(transfer, client, fates)
    blocks = size // blksize + 1
    assert trace.ended_at <= (blocks + 1) * HALF_A_MINUTE_S
    if transfer.outcome is Outcome.COMPLETE:
        assert client.finished
        assert client.content == CONTENT[:size]
    else:
        assert transfer.outcome is Outcome.TIMED_OUT
        assert CONTENT[:size].startswith(client.content)
        sends = MAX_SENDS if transfer.answered else MAX_UNANSWERED_SENDS
        assert sum(fate in (Fate.LOST, Fate.VERY_LATE) for fate in fates) >= sends


@many_examples
@given(size=sizes, windowsize=st.integers(1, 16), fates=mild_fates)
def test_a_network_that_loses_nothing_only_delays_the_file(size: int, windowsize: int, fates: list[Fate]) -> None:
    transfer, client = transfer_of(size, 64, windowsize, with_options=True), Client(64, windowsize)
    run(transfer, client, fates)
    assert transfer.outcome is Outcome.COMPLETE
    assert client.content == CONTENT[:size]


@many_examples
@given(size=sizes, with_options=st.booleans(), fates=fates)
def test_in_lock_step_only_progress_and_deadlines_cause_packets(
    size: int, with_options: bool, fates: list[Fate]
) -> None:
    transfer, client = transfer_of(size, 64, 1, with_options=with_options), Client(64)
    trace = run(transfer, client, fates)
    different = len(set(trace.sent))
    ended_by_deadline = transfer.outcome is Outcome.TIMED_OUT
    assert len(trace.sent) == different + trace.deadlines - ended_by_deadline


@many_examples
@given(size=sizes, windowsize=st.integers(2, 16), fates=fates)
def test_duplicates_send_a_window_again_at_most_once_for_each_block(
    size: int, windowsize: int, fates: list[Fate]
) -> None:
    transfer, client = transfer_of(size, 64, windowsize, with_options=True), Client(64, windowsize)
    trace = run(transfer, client, fates)
    blocks = size // 64 + 1
    assert trace.data_packets <= windowsize * (2 * blocks + trace.deadlines)


def test_every_packet_twice_makes_no_block_twice() -> None:
    transfer, client = transfer_of(4000, 64, 1, with_options=False), Client(64)
    trace = run(transfer, client, [Fate.DOUBLED] * 10_000)
    assert client.content == CONTENT
    assert trace.data_packets == 4000 // 64 + 1


def test_one_late_acknowledgement_does_not_double_the_rest_of_the_transfer() -> None:
    """The Sorcerer's Apprentice: a block is sent again, both copies are acknowledged, and so on to the end."""
    transfer, client = transfer_of(4000, 64, 1, with_options=False), Client(64)
    trace = run(transfer, client, [Fate.DELIVERED, Fate.VERY_LATE])
    assert transfer.outcome is Outcome.COMPLETE
    assert trace.data_packets <= 4000 // 64 + 2


def test_a_lost_block_costs_one_packet_more() -> None:
    transfer, client = transfer_of(640, 64, 1, with_options=False), Client(64)
    trace = run(transfer, client, [Fate.DELIVERED, Fate.DELIVERED, Fate.LOST])
    assert client.content == CONTENT[:640]
    assert trace.sent.count(encode_data(2, CONTENT[64:128])) == 2
    assert trace.data_packets == 12

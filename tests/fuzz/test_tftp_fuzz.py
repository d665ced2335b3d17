"""Hostile datagrams harm neither the TFTP door nor its phones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.guard import Guard, bounded, corpus, mutated
from tests.integration.clients import tftp_ack, tftp_request

ENTRIES = corpus("tftp")

words = st.sampled_from(
    ["good", "", ".", "..", "/", "Aastra", "00085D0000AE.cfg", "tftpboot-evil", "x", "secret", ".hidden", "\0", "\\",
     "%2e"]
)  # fmt: skip
names = st.lists(words, max_size=8).map("/".join) | st.text(max_size=50)
numbers = st.integers(-1, 70_000).map(str) | st.text(max_size=5)
options = st.dictionaries(
    st.sampled_from(["blksize", "tsize", "timeout", "windowsize", "BLKSIZE", "multicast", ""]), numbers, max_size=5
)
requests = st.builds(
    lambda opcode, name, mode, chosen: tftp_request(name.encode("utf-8", "replace"), mode, opcode, **chosen),
    st.sampled_from([1, 1, 1, 2]),
    names,
    st.sampled_from(["octet", "octet", "netascii", "mail", ""]),
    options,
)
free_bytes = st.binary(max_size=600) | st.builds(
    lambda opcode, rest: struct.pack("!H", opcode) + rest, st.integers(0, 8), st.binary(max_size=600)
)
packets = mutated(list(ENTRIES.values())) | requests | free_bytes
in_transfer = st.integers(0, 65_535).map(tftp_ack) | st.integers(0, 3).map(tftp_ack) | packets
steps = st.tuples(st.integers(0, 2), st.just(False), packets) | st.tuples(st.integers(0, 2), st.just(True), in_transfer)


@pytest.mark.parametrize("name", ENTRIES)
def test_each_datagram_of_the_corpus_is_harmless(guard: Guard, name: str) -> None:
    guard.tftp_exchange([(0, False, ENTRIES[name])])


def test_all_datagrams_of_the_corpus_at_once_are_harmless(guard: Guard) -> None:
    guard.tftp_exchange([(number % 50, False, packet) for number, packet in enumerate(ENTRIES.values())])
    guard.remember_memory()


@given(packet=packets)
@bounded(500)
def test_any_datagram_is_harmless(guard: Guard, packet: bytes) -> None:
    guard.tftp_exchange([(0, False, packet)])


@given(packets=st.lists(in_transfer, min_size=1, max_size=6))
@bounded(250)
def test_anything_sent_to_a_transfer_is_harmless(guard: Guard, packets: list[bytes]) -> None:
    request = tftp_request("good", blksize=100, windowsize=3)
    guard.tftp_exchange([(0, False, request), *((0, True, packet) for packet in packets)])


@given(sequence=st.lists(steps, min_size=2, max_size=8))
@bounded(250)
def test_any_sequence_of_datagrams_of_several_clients_is_harmless(
    guard: Guard, sequence: list[tuple[int, bool, bytes]]
) -> None:
    guard.tftp_exchange(sequence)


def test_phones_boot_as_before(guard: Guard) -> None:
    guard.assert_good_tftp()
    guard.assert_good_http()

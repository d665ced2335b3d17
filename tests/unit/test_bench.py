"""The benchmark's pure parts: its phones, its sums, its tables and its judgement."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import phones
from aims import aims
from field import Row
from storm import Result, combined, parse_report
from table import table

from provd.model.mac import is_normalized_mac


def result(**values):
    fields = {
        "files": 1000, "failed": 0, "per_s": 4000.0, "mib_per_s": 16.0, "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0,
        "seconds": 0.25, "retransmits": 0, "kernel_losses": 0, "cpu_s": 0.2, "cpu_s_per_1000": 0.2,
        "cpu_s_per_gib": 50.0, "rss_mb": 100.0, "client_was_limit": False, "foreign_share": 0.0, "failures": {},
    }  # fmt: skip
    return Result(**{**fields, **values})


def row(scenario="known", protocol="http", server="provd", devices=100, at_once=64, **values):
    return Row(scenario, protocol, server, devices, at_once, "", result(**values), ())


def judged(rows, largest_rss_mb=0.0):
    return {aim.name: aim.reached for aim in aims(rows, largest_rss_mb)}


@pytest.mark.parametrize("number", [0, 255, 256, 99_999, phones.FIRST_NEW, phones.FIRST_NEW + 99_999])
def test_each_phone_has_addresses_of_its_own_on_the_loopback(number):
    assert is_normalized_mac(phones.mac(number))
    first, *others = (int(part) for part in phones.address(number).split("."))
    assert first == 127
    assert others[0] >= 1
    assert all(part <= 255 for part in others)
    assert phones.address(number) != phones.address(number + 1)
    assert phones.mac(number) != phones.mac(number + 1)


def test_a_phone_as_phonestorm_reads_it():
    assert phones.boot_line(1, "tftp").split("\t") == [
        "127.1.0.1", "tftp", "Aastra/00085D000001.cfg#4096",
        "Aastra6731i MAC:00-08-5D-00-00-01 V:3.3.1.4365-SIP", "00085D000001",
    ]  # fmt: skip


def test_several_runs_are_their_median_and_all_their_losses():
    runs = [
        result(per_s=1.0, failed=1, rss_mb=90.0, failures={"http_404": 1}),
        result(per_s=3.0, failed=0, rss_mb=95.0, kernel_losses=4),
        result(per_s=2.0, failed=2, rss_mb=80.0, failures={"http_404": 1, "recv_reset": 1}),
    ]
    both = combined(runs)
    assert (both.per_s, both.failed, both.rss_mb, both.kernel_losses, both.files) == (2.0, 3, 95.0, 4, 3000)
    assert both.failures == {"http_404": 2, "recv_reset": 1}


def test_phones_that_were_not_finished_have_failed():
    report = {
        "latency_us": {"all": {"n": 0}}, "failures": {"recv_reset": 2}, "unfinished": 3, "wall_s": 1.5,
        "files": {"ok": 5, "failed": 2, "per_s": 5.0, "MiB_per_s": 0.1, "bytes": 0},
        "tftp": {"rrq_retransmits": 4, "ack_retransmits": 1},
        "server": {"cpu_s": 1.0, "cpu_s_per_1000": 2.0, "rss_kb_peak": 2048},
        "client": {"loop_busy": 0.95}, "machine": {"foreign_share": -0.01},
    }  # fmt: skip
    parsed = parse_report(report, losses=7)
    assert (parsed.failed, parsed.retransmits, parsed.kernel_losses, parsed.rss_mb) == (5, 5, 7, 2.0)
    assert parsed.failures == {"recv_reset": 2, "unfinished": 3}
    assert parsed.client_was_limit
    assert parsed.foreign_share == 0.0


def test_the_worst_store_counts():
    rows = [row(devices=100, cpu_s_per_1000=0.2), row(devices=10_000, cpu_s_per_1000=0.26)]
    reached = judged(rows)
    assert reached["HTTP, 64 at once: CPU s per 1,000 known phones"] is False
    assert "HTTP: CPU with 10,000 devices beside 100" not in reached, "other phones ask there"


def test_what_the_size_of_the_store_costs_is_told_by_the_same_phones():
    rows = [row("growth", devices=100, cpu_s_per_1000=0.2), row("growth", devices=10_000, cpu_s_per_1000=0.26)]
    reached = judged(rows)
    assert reached["HTTP: CPU with 10,000 devices beside 100"] is False
    assert reached["RSS MiB at most with 10,000 devices"] is True


def test_the_rate_is_compared_with_the_peer_at_the_same_number_of_phones():
    rows = [
        row(per_s=6000.0),
        row(per_s=2000.0, at_once=500),
        row(server="nginx", devices=0, per_s=10_000.0),
        row(server="nginx", devices=0, per_s=10_000.0, at_once=500),
    ]
    reached = judged(rows)
    assert reached["HTTP, 64 at once: rate beside nginx's"] is True
    assert reached["HTTP, 500 at once: rate beside nginx's"] is False


@pytest.mark.parametrize(("values", "expected"), [({}, True), ({"failed": 1}, False), ({"kernel_losses": 1}, False)])
def test_a_burst_must_lose_nothing(values, expected):
    assert judged([row("burst", "tftp", at_once=500, **values)])["TFTP, burst of 500: lost requests"] is expected


def test_memory_counts_from_the_start_to_the_last_storm():
    assert judged([row(rss_mb=399.0)], 398.0)["RSS MiB at most with 100 devices"] is True
    assert judged([row(rss_mb=401.0)], 398.0)["RSS MiB at most with 100 devices"] is False
    assert judged([row(rss_mb=399.0)], 401.0)["RSS MiB at most with 100 devices"] is False


def test_a_table_is_aligned():
    assert table(("server", "files"), [("provd", 12_345), ("nginx", 7)]).splitlines() == [
        "| server |  files |",
        "| ------ | -----: |",
        "| provd  | 12,345 |",
        "| nginx  |      7 |",
    ]


def test_numbers_show_what_means_something():
    assert "0.190 | 12.3 | 1,235" in table(("a", "b", "c"), [(0.19, 12.34, 1234.6)]).replace("  ", " ")

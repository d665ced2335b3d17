"""The benchmark's pure parts: its phones, its sums, its tables and its judgement."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import field
import phones
import process
import report
import seed
from aims import aims
from flood import Flood
from identification import takers
from reconfiguration import Reconfiguration, edit
from storm import BenchError, Result, combined, parse_report
from table import table

from provd.model.mac import is_normalized_mac
from provd.wire.dhcp_message import decode


def result(**values):
    fields = {
        "files": 1000, "failed": 0, "per_s": 4000.0, "mib_per_s": 16.0, "p50_ms": 1.0, "p99_ms": 2.0, "max_ms": 3.0,
        "seconds": 0.25, "retransmits": 0, "kernel_losses": 0, "cpu_s": 0.2, "cpu_s_per_1000": 0.2,
        "cpu_s_per_gib": 50.0, "rss_mb": 100.0, "client_was_limit": False, "foreign_share": 0.0, "failures": {},
    }  # fmt: skip
    return Result(**{**fields, **values})


def row(scenario="known", protocol="http", server="provd", devices=100, at_once=64, **values):
    return field.Row(scenario, protocol, server, devices, at_once, "", result(**values), ())


def flood(**p99_ms):
    quiet = {protocol: result(p99_ms=2.0) for protocol in p99_ms}
    flooded = {protocol: result(p99_ms=value) for protocol, value in p99_ms.items()}
    return Flood("ask in vain", 10_000, quiet, flooded, 60_000, 3000.0, 2200, 57_800, 70.0, 90.0)


def anew(way="every file changes", devices=10_000, seconds=(5.0, 4.0), failed=0, **p99_ms):
    quiet = {protocol: result(p99_ms=2.0) for protocol in p99_ms}
    meanwhile = {protocol: result(p99_ms=value) for protocol, value in p99_ms.items()}
    return Reconfiguration(way, devices, seconds, [7.0, 6.0], failed, quiet, meanwhile)


def judged(rows, largest_rss_mb=0.0, floods=(), anew=()):
    return {aim.name: aim.reached for aim in aims(rows, floods, anew, largest_rss_mb)}


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


def test_a_phone_that_asks_from_elsewhere_is_still_itself():
    home, elsewhere = (phones.boot_line(1, "http", place).split("\t") for place in (None, phones.FIRST_FREE_ADDRESS))
    assert elsewhere[0] == "127.33.0.0"
    assert elsewhere[1:] == home[1:]


def test_a_lease_is_what_the_server_reads():
    (event,) = decode(f"@1\n{phones.lease(1, 2)}".encode("ascii"))
    assert (event.op, event.ip, event.mac, event.time_ns) == ("commit", "127.1.0.2", phones.mac(1), 1)
    assert event.options == {60: b"AastraIPPhone6731i"}


def test_each_request_takes_an_address_that_another_phone_has():
    has = {phone: phone for phone in range(6)}
    for phone, place in takers(3, 12):
        (loser,) = (each for each, where in has.items() if where == place)
        assert loser != phone
        del has[loser]
        has[phone] = place


@pytest.mark.parametrize(("written", "is_right"), [(2000, True), (1990, True), (1900, False), (2100, False)])
def test_what_does_not_write_what_it_should_is_not_measured(written, is_right):
    class Server:
        name = "provd"
        documents = 7

        def documents_written(self):
            return self.documents

    class Run:
        at_once = 1

        def run(self):
            server.documents += written
            return result(files=1000)

    server, size = Server(), field.Size(rounds=1)
    server.devices = 100
    servers = field.Field(Path(), size, [server], [])
    if is_right:
        (row,) = servers.in_turns("moved", "http", [server], lambda _: Run(), documents=2)
        assert row.result.files == 1000
        return
    with pytest.raises(BenchError, match=f"{written} documents were written for 1000 requests, not 2000"):
        servers.in_turns("moved", "http", [server], lambda _: Run(), documents=2)


def test_a_process_and_the_machine_have_used_something():
    assert 0 < process.cpu_s(os.getpid()) <= process.machine_cpu_s()
    assert process.rss_mb(os.getpid()) > 1


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


def test_each_kind_of_identification_has_a_limit_and_may_hardly_grow():
    rows = [row("moved", devices=100, cpu_s_per_1000=0.5), row("moved", devices=10_000, cpu_s_per_1000=0.9)]
    rows += [row("lease moved", "dhcp", devices=devices, cpu_s_per_1000=1.2) for devices in (100, 10_000)]
    reached = judged(rows)
    assert reached["HTTP, known phone, changed address: CPU ms"] is True
    assert reached["HTTP, known phone, changed address: CPU with 10,000 devices beside 100"] is False
    assert reached["DHCP, lease of a known phone, changed address: CPU ms"] is False
    assert reached["DHCP, lease of a known phone, changed address: CPU with 10,000 devices beside 100"] is True


def test_what_identification_costs_is_shown_by_the_size_of_the_store():
    rows = [row("new", "tftp", devices=devices, cpu_s_per_1000=cost) for devices, cost in ((100, 1.5), (10_000, 3.0))]
    lines = report.identification_table(rows, rows).splitlines()
    assert lines[0].split(" | ")[2:] == ["100 devices", "10,000 devices", "largest beside smallest |"]
    assert lines[2].split() == ["|", "new", "phone", "|", "TFTP", "|", "1.5", "|", "3.0", "|", "2.0", "|"]


def test_known_phones_may_wait_three_times_as_long_in_a_flood():
    reached = judged([row()], floods=[flood(http=6.0, tftp=6.1)])
    assert reached["HTTP, flood of strangers that ask in vain: known phones' p99 beside quiet"] is True
    assert reached["TFTP, flood of strangers that ask in vain: known phones' p99 beside quiet"] is False


def test_a_flood_is_shown_with_what_became_of_it():
    waiting, became = report.flood_tables([flood(http=6.0)]).split("\n\n")
    p99_ms, slowdown = (waiting.splitlines()[2].split("|")[column].strip() for column in (6, 7))
    assert (p99_ms, slowdown) == ("6.0", "3.0")
    assert [cell.strip() for cell in became.splitlines()[2].split("|")[2:-1]] == [
        "10,000", "60,000", "3,000", "2,200", "57,800", "70.0", "90.0",
    ]  # fmt: skip


def test_making_all_files_anew_may_take_six_seconds_and_hold_up_no_phone():
    reached = judged([row()], anew=[anew(http=52.0, tftp=52.1), anew("no file changes", 1000, [0.7], failed=1)])
    assert reached["All files made anew, every file changes: s for 10,000"] is True
    assert reached["All files made anew, no file changes: s for 10,000"] is False, "there were only 1,000"
    assert reached["HTTP, meanwhile, every file changes: known phones' p99 ms more than quiet"] is True
    assert reached["TFTP, meanwhile, every file changes: known phones' p99 ms more than quiet"] is False
    assert reached["Meanwhile, every file changes: lost requests and devices"] is True
    assert reached["Meanwhile, no file changes: lost requests and devices"] is False


def test_making_all_files_anew_is_shown_with_what_phones_experience_meanwhile():
    (line,) = report.reconfiguration_table([anew(http=6.0)]).splitlines()[2:]
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "every file changes", "10,000", "2", "4.5", "5.0", "6.5", "HTTP", "1.0", "2.0", "1.0", "6.0", "0", "0",
    ]  # fmt: skip


def test_an_edited_template_changes_every_file_and_back(tmp_path):
    template = tmp_path / "base.tpl"
    template.write_text(seed._PADDED_TEMPLATE)
    texts = [seed._PADDED_TEMPLATE]
    for is_change in (False, True, True):
        edit(template, is_change=is_change)
        texts.append(template.read_text())
    assert texts[0] == texts[1] != texts[2]
    assert texts[3] == texts[0]


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

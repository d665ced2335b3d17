"""Whatever happens, the hook ends with 0, soon, with at most one line that says what to do."""

from __future__ import annotations

import ast
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.wire.dhcp_message import decode
from tests.unit.dhcp_hook.hook import HOOK, PYTHON, Listener, Told, module, run

MAC = "00:08:5d:2e:ec:fb"
COMMIT = ("commit", "192.0.2.7", "0:8:5d:2e:ec:fb", "06041.61")


def trouble(told: Told) -> str:
    """The one line of a run that told nothing."""
    assert (told.status, told.stdout, told.datagrams) == (0, b"", [])
    assert told.stderr.startswith("xivo-provd-dhcp-hook: ")
    assert told.stderr.count("\n") == 1
    assert "Traceback" not in told.stderr
    return told.stderr.removeprefix("xivo-provd-dhcp-hook: ").rstrip("\n")


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "'' is no event: see xivo-provd-dhcp-hook --help"),
        (["comit", "192.0.2.7"], "'comit' is no event"),
        (["\n\x1b[2J" * 99], r"'\n\x1b[2J\n"),
        ([b"\xff"], r"'\udcff' is no event"),
        (["--verbose"], "'--verbose' is no event"),
        (["commit"], "commit needs an address and a MAC address"),
        (["commit", "192.0.2.7"], "commit needs an address and a MAC address"),
        (["commit", "192.0.2.7", ""], "commit needs an address and a MAC address"),
        (["release"], "release needs an address"),
        (["expiry", ""], "expiry needs an address"),
        (["commit", "192.0.2.7\nrelease", "0:8:5d:2e:ec:fb"], r"'192.0.2.7\nrelease' is no address"),
        (["commit", "192.0.2.7", "0:8:5d:2e:ec:fb\n\ncommit"], r"is no address"),
        (["commit", "192.0.2.7", b"\xff\xfe"], r"'\udcff\udcfe' is no address"),
        (["commit", "1" * 100_000, "0:8:5d:2e:ec:fb"], "is no address"),
        (["commit", "192.0.2.7", "0:8:5d:2e:ec:fb", *["0600" + ".0" * 250] * 40], "more than 16384 bytes"),
    ],
)
def test_wrong_arguments(listener: Listener, arguments: list[str | bytes], text: str) -> None:
    assert text in trouble(listener.run(*arguments))


@pytest.mark.parametrize("values", [[], [MAC], ["192.0.2.7", MAC], ["\xff\n", "\xff\n"], [MAC, "1.2.3"], [MAC, "1"]])
@pytest.mark.parametrize("action", ["add", "old", "del"])
def test_arguments_that_dnsmasq_never_gives_are_ignored(listener: Listener, action: str, values: list[str]) -> None:
    assert listener.run(action, *values) == Told(0, b"", "", [])


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag: str) -> None:
    told = run(flag)
    assert (told.status, told.stderr) == (0, "")
    assert told.stdout.startswith(b"usage: xivo-provd-dhcp-hook ")
    for word in (b"commit", b"release", b"expiry", b"add", b"old", b"del", b"leases4_committed", b"--socket"):
        assert word in told.stdout


def test_help_that_nobody_reads() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run("--help", stdout=writing).status == 0
    finally:
        os.close(writing)


# --- the socket


def test_provd_was_never_there(tmp_path: Path) -> None:
    said = trouble(run("--socket", str(tmp_path / "dhcp.sock"), *COMMIT))
    assert said.endswith("dhcp.sock: No such file or directory: provd is not there to be told: "
                         "systemctl start xivo-provd-dhcp.socket")  # fmt: skip


def test_provd_is_gone(listener: Listener) -> None:
    listener.socket.close()
    said = trouble(run("--socket", str(listener.path), *COMMIT))
    assert said.endswith("Connection refused: nobody listens: systemctl start xivo-provd-dhcp.socket")


def fill(listener: Listener) -> int:
    """Put datagrams into the queue until no more fit; how many did.

    Each has a sender of its own: where the queue is long, the buffer of a single one is full before.
    """
    for count in range(100_000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(b"x", socket.MSG_DONTWAIT, str(listener.path))
            except BlockingIOError:
                return count
    raise AssertionError("the queue has no end")


def test_the_queue_is_full(listener: Listener) -> None:
    count = fill(listener)
    told = run("--socket", str(listener.path), *COMMIT)
    assert "its queue is full, so this lease is not told" in trouble(told)
    assert listener.datagrams() == [b"x"] * count
    assert len(listener.run(*COMMIT).datagrams) == 1, "when there is room again, it goes on"


def test_the_socket_is_of_another_kind(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.bind(str(tmp_path / "stream"))
        assert "this lease is not told" in trouble(run("--socket", str(tmp_path / "stream"), *COMMIT))
    (tmp_path / "file").touch()
    assert "nobody listens" in trouble(run("--socket", str(tmp_path / "file"), *COMMIT))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_socket_is_not_permitted(listener: Listener) -> None:
    for folder in listener.path.parents[:-1]:
        if folder.stat().st_mode & 0o001 == 0:
            break  # nobody cannot even come near
    else:
        listener.path.chmod(0o600)
    program = os.open(HOOK, os.O_RDONLY)  # nor need the checkout be open to nobody
    try:
        command = [PYTHON, "-IS", f"/dev/fd/{program}", "--socket", listener.path, *COMMIT]
        result = subprocess.run(command, user=65534, group=65534, pass_fds=[program], capture_output=True, timeout=10)
    finally:
        os.close(program)
    assert "this user may not write to it" in trouble(Told(result.returncode, b"", result.stderr.decode(), []))


@pytest.mark.parametrize("path", ["", "/" + "x" * 200, "/tmp/\n\x1b"])
def test_a_path_that_cannot_be(path: str) -> None:
    assert trouble(run("--socket", path, *COMMIT))


def test_a_path_that_is_missing() -> None:
    assert "is no event" in trouble(run("--socket"))


# --- the streams


def full_pipe() -> tuple[int, int]:
    """Both ends of a pipe into which nothing more goes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def test_a_log_that_nobody_reads_is_not_waited_for(listener: Listener) -> None:
    reading, writing = full_pipe()
    try:
        assert run("nonsense", stderr=writing).status == 0
        os.close(reading)
        assert run("nonsense", stderr=writing).status == 0
    finally:
        os.close(writing)


@pytest.mark.parametrize("closing", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/null", "2>/dev/full"])
def test_without_streams_it_does_the_same(listener: Listener, closing: str) -> None:
    script = f'"$0" --socket "$1" nonsense {closing} && "$0" --socket "$1" commit 192.0.2.7 0:8:5d:2e:ec:fb {closing}'
    subprocess.run(["sh", "-c", script, HOOK, listener.path], check=True, timeout=10)
    (datagram,) = listener.datagrams()
    assert decode(datagram)[0].ip == "192.0.2.7"


# --- the environment


NASTY = [
    {},
    {b"LANG": b"xx_YY.nonsense", b"LC_ALL": b"\xff"},
    {b"LC_ALL": b"C"},
    {b"PYTHONHOME": b"/nonexistent", b"PYTHONPATH": b"/nonexistent", b"PYTHONSTARTUP": b"/nonexistent"},
    {b"PYTHONWARNINGS": b"error", b"PYTHONIOENCODING": b"nonsense", b"PYTHONUTF8": b"7", b"PYTHONMALLOC": b"x"},
    {b"\xff\xfe": b"\xff"},
    {b"X%d" % number: b"y" * 1000 for number in range(500)},
]


@pytest.mark.parametrize("environment", NASTY)
def test_the_environment_does_not_matter(listener: Listener, environment: dict[bytes, bytes]) -> None:
    told = listener.run(*COMMIT, environment=environment)
    assert (told.status, told.stdout, told.stderr) == (0, b"", "")
    assert decode(told.datagrams[0])[0].options == {60: b"Aa"}


def test_the_folder_does_not_matter(listener: Listener, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    for name in ("_socket", "posix", "time", "select", "errno", "sys", "io", "codecs"):
        (folder / f"{name}.py").write_text("raise SystemExit(7)")
    assert len(listener.run(*COMMIT, cwd=folder).datagrams) == 1
    script = 'rm -r "$PWD" && exec "$0" --socket "$1" commit 192.0.2.7 0:8:5d:2e:ec:fb'
    subprocess.run(["sh", "-c", script, HOOK, listener.path], cwd=folder, check=True, timeout=10)
    assert len(listener.datagrams()) == 1


names = st.sampled_from(
    [b"DNSMASQ_VENDOR_CLASS", b"DNSMASQ_SUPPLIED_HOSTNAME", b"DNSMASQ_REQUESTED_OPTIONS", b"DNSMASQ_DATA_MISSING"]
    + [b"%s_%s" % (lease, key)
       for lease in (b"LEASE4", b"LEASES4_AT0", b"LEASES4_AT1", b"DELETED_LEASES4_AT0")
       for key in (b"ADDRESS", b"HWADDR", b"HWADDR_TYPE")]
    + [b"LEASES4_SIZE", b"DELETED_LEASES4_SIZE"]
)  # fmt: skip
foreign = st.binary(max_size=400).map(lambda value: value.replace(b"\0", b""))
values = st.one_of(
    foreign,
    st.sampled_from([b"192.0.2.7", b"00:08:5d:2e:ec:fb", b"1", b"2", b"0", b"1,3,6", b"192.0.2.7\n", b"1\n", b"::1"]),
)
environments = st.dictionaries(names, values, max_size=12)
words = st.sampled_from(["add", "old", "del", "leases4_committed", "lease4_renew", "lease4_release", "lease4_expire"])


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words, environments)
def test_whatever_is_in_the_environment_ends_well(
    listener: Listener, word: str, environment: dict[bytes, bytes]
) -> None:
    told = listener.run(word, "00:08:5d:2e:ec:fb", "192.0.2.7", environment=environment)
    assert (told.status, told.stdout, told.stderr) == (0, b"", "")
    assert len(told.datagrams) <= 1


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(words, st.lists(st.text(max_size=30) | st.sampled_from(["192.0.2.7", "0:8:5d:2e:ec:fb"])), environments)
def test_what_dnsmasq_and_kea_say_is_sent_only_if_provd_understands_it(
    word: str, arguments: list[str], environment: dict[bytes, bytes]
) -> None:
    hook = module()
    events = hook.events_of([word, *arguments], environment, [])
    if events:
        try:
            decoded = decode(hook.message_of(events, 7))
        except InvalidValueError as error:
            assert error.field == "ip", error  # noqa: PT017 - such as 999.1.1.1: provd says so
        else:
            assert [(each.op, each.time_ns) for each in decoded] == [(event[0], 7) for event in events]


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.sampled_from(["commit", "release", "expiry"]), st.lists(st.text(max_size=30) | st.sampled_from(
    ["192.0.2.7", "0:8:5d:2e:ec:fb", "06041.61", "060", "", "0\n1", "256a"])))  # fmt: skip
def test_no_argument_of_dhcpd_breaks_out_of_its_line(operation: str, arguments: list[str]) -> None:
    hook = module()
    complaints: list[str] = []
    try:
        (event,) = hook.events_of([operation, *arguments], {}, complaints)
    except hook.Trouble:
        return
    message = hook.message_of([event], 7)
    assert message.decode("ascii").split("\n") == ["@7", *event, ""]
    assert len(event) + len(complaints) <= 1 + len(arguments)
    try:
        (decoded,) = decode(message)
    except InvalidValueError as error:
        assert error.field in ("ip", "mac")  # noqa: PT017
    else:
        assert decoded.op == operation


# --- what it costs


def imported() -> set[str]:
    nodes = ast.walk(ast.parse(HOOK.read_text()))
    found = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.Import) for node in found)
    return {name.name for node in found for name in node.names}


def test_it_imports_only_what_is_in_the_interpreter() -> None:
    assert HOOK.read_text().startswith("#!/usr/bin/python3 -IS\n")
    assert HOOK.stat().st_mode & 0o777 == 0o755
    if PYTHON.exists():
        known = subprocess.run(
            [PYTHON, "-IS", "-c", "import sys; print(*sys.builtin_module_names)"], capture_output=True, check=True
        )
        assert imported() <= set(known.stdout.decode().split())


def median_s(action: Callable[[], object], times: int = 15) -> float:
    """How long it takes, most of the time."""

    def once() -> float:
        began = time.monotonic()
        action()
        return time.monotonic() - began

    return statistics.median(once() for _ in range(times))


def test_it_costs_little_more_than_the_start_of_the_interpreter(listener: Listener) -> None:
    bare = [PYTHON, "-IS", "-c", "pass"]
    start_s = median_s(lambda: subprocess.run(bare, check=True, stdin=subprocess.DEVNULL, capture_output=True))
    cases: dict[str, Callable[[], object]] = {
        "told": lambda: listener.run(*COMMIT),
        "nobody there": lambda: run("--socket", "/nonexistent", *COMMIT),
        "nonsense": lambda: listener.run("nonsense"),
    }
    for name, action in cases.items():
        taken_s = median_s(action)
        assert taken_s < 3 * start_s + 0.005, name
        assert taken_s < 1, name
    fill(listener)
    assert median_s(lambda: run("--socket", str(listener.path), *COMMIT)) < 3 * start_s + 0.005

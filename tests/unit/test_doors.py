"""Opening the doors' sockets: whose they are, on which addresses, and what is said when one cannot be had."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from provd.doors import DoorSockets, describe_address, open_door_sockets
from provd.errors import SettingsError
from provd.settings import Settings

Open = Callable[..., DoorSockets]
MakeSocket = Callable[..., socket.socket]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 here")


def settings(**values: Any) -> Settings:
    """Free ports on loopback unless something else is said; `http_port` stands for `http.port`."""
    defaults = {
        "general.bind": "127.0.0.1",
        "tftp.port": 0,
        "http.port": 0,
        "admin.port": 0,
        "admin.address": "127.0.0.1",
        "dhcp.socket": None,
    }
    return Settings({**defaults, **{key.replace("_", ".", 1): value for key, value in values.items()}})


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def open_doors(stack: ExitStack) -> Open:
    def open_them(inherited: list[tuple[str, int]] | None = None, **values: Any) -> DoorSockets:
        doors = open_door_sockets(settings(**values), inherited or [])
        stack.callback(doors.close)
        return doors

    return open_them


@pytest.fixture
def make_socket(stack: ExitStack) -> MakeSocket:
    def make(
        kind: int = socket.SOCK_STREAM, address: Any = ("127.0.0.1", 0), family: int = socket.AF_INET
    ) -> socket.socket:
        made = stack.enter_context(socket.socket(family, kind))
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        return made

    return make


def inherit(name: str, made: socket.socket) -> tuple[str, int]:
    """The socket as systemd hands it over: a descriptor of its own."""
    return name, os.dup(made.fileno())


def ports(sockets: list[socket.socket]) -> list[int]:
    return [each.getsockname()[1] for each in sockets]


def test_each_door_gets_a_socket_of_its_kind(open_doors: Open) -> None:
    doors = open_doors()
    assert [each.type for each in (*doors.tftp, *doors.http, *doors.admin)] == [
        socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_STREAM,
    ]  # fmt: skip
    assert all(each.getsockname()[0] == "127.0.0.1" for each in (*doors.tftp, *doors.http, *doors.admin))
    with socket.create_connection(doors.http[0].getsockname()), socket.create_connection(doors.admin[0].getsockname()):
        pass


@needs_ipv6
def test_the_empty_address_serves_ipv6_and_ipv4(open_doors: Open) -> None:
    doors = open_doors(general_bind="")
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, ports(doors.http)[0])):
            pass
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.sendto(b"x", (host, ports(doors.tftp)[0]))
    doors.tftp[0].settimeout(5)
    peers = [doors.tftp[0].recvfrom(10)[1][0] for _ in range(2)]
    assert sorted(peers) == ["::1", "::ffff:127.0.0.1"]


@needs_ipv6
def test_an_ipv6_address_serves_ipv6_alone(open_doors: Open) -> None:
    doors = open_doors(general_bind="::1")
    for each in (*doors.tftp, *doors.http):
        assert each.getsockname()[0] == "::1"
        assert each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@pytest.mark.parametrize(
    ("door", "kind"), [("tftp", socket.SOCK_DGRAM), ("http", socket.SOCK_STREAM), ("admin", socket.SOCK_STREAM)]
)
def test_a_port_that_another_program_has_is_named(
    open_doors: Open, make_socket: MakeSocket, door: str, kind: int
) -> None:
    port = make_socket(kind).getsockname()[1]
    with pytest.raises(SettingsError) as caught:
        open_doors(**{f"{door}_port": port})
    assert str(caught.value) == (
        f"{door} door: 127.0.0.1 port {port}: Address already in use; "
        f"another program has it, choose another {door}.port"
    )


def test_a_port_that_is_taken_on_all_addresses_is_named_so(open_doors: Open, make_socket: MakeSocket) -> None:
    port = make_socket(address=("0.0.0.0", 0)).getsockname()[1]
    with pytest.raises(SettingsError, match=f"http door: all addresses port {port}: Address already in use"):
        open_doors(general_bind="", http_port=port)


@pytest.mark.parametrize(
    ("door", "setting"), [("tftp", "general.bind"), ("http", "general.bind"), ("admin", "admin.address")]
)
def test_an_address_that_is_not_this_machines_is_named_with_its_setting(
    open_doors: Open, make_socket: MakeSocket, door: str, setting: str
) -> None:
    inherited = [inherit("tftp", make_socket(socket.SOCK_DGRAM))] if door == "http" else []
    with pytest.raises(SettingsError) as caught:
        open_doors(inherited, **{setting.replace(".", "_"): "192.0.2.1"})
    assert str(caught.value) == (
        f"{door} door: 192.0.2.1 port 0: Cannot assign requested address; "
        f"no interface has this address, see {setting}"
    )


def test_a_port_below_1024_is_explained_to_who_may_not_have_it() -> None:
    """In a child process that gives up root's rights, if it has them."""
    source = (
        "import os\n"
        "from provd.doors import open_door_sockets\n"
        "from provd.errors import SettingsError\n"
        "from tests.unit.test_doors import settings\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: open_door_sockets(settings(tftp_port=69), [])\n"
        "except SettingsError as error: print(error)\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", source], cwd=root, capture_output=True, text=True, check=True)
    first_free = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first_free <= 69:
        pytest.skip("low ports are free for all here")
    assert ended.stdout == (
        "tftp door: 127.0.0.1 port 69: Permission denied; ports below 1024 need systemd's sockets, root, or "
        "CAP_NET_BIND_SERVICE\n"
    )


def test_a_door_that_cannot_be_opened_leaves_no_other_open(make_socket: MakeSocket) -> None:
    taken = make_socket().getsockname()[1]
    inherited = make_socket()
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError) as caught:
        open_door_sockets(settings(admin_port=taken), [inherit("http", inherited)])
    assert set(os.listdir("/proc/self/fd")) <= before
    assert caught.tb is not None  # and no socket was closed only because nothing refers to it any more


# --- inherited sockets


def test_inherited_sockets_go_to_the_door_of_their_name(open_doors: Open, make_socket: MakeSocket) -> None:
    tftp, http, admin = make_socket(socket.SOCK_DGRAM), make_socket(), make_socket()
    doors = open_doors([inherit("admin", admin), inherit("http", http), inherit("tftp", tftp)])
    for mine, given in ((doors.tftp, tftp), (doors.http, http), (doors.admin, admin)):
        assert [each.getsockname() for each in mine] == [given.getsockname()]


def test_a_door_may_have_several_sockets(open_doors: Open, make_socket: MakeSocket) -> None:
    first, second = make_socket(), make_socket()
    doors = open_doors([inherit("http", first), inherit("http", second)])
    assert ports(doors.http) == [first.getsockname()[1], second.getsockname()[1]]
    assert len(doors.tftp) == len(doors.admin) == 1


@pytest.mark.parametrize("name", ["", "xivo-provd.socket", "unknown"])
def test_sockets_without_a_doors_name_go_by_their_kind_and_port(
    open_doors: Open, make_socket: MakeSocket, name: str
) -> None:
    tftp, http, admin = make_socket(socket.SOCK_DGRAM), make_socket(), make_socket()
    doors = open_doors([inherit(name, each) for each in (http, admin, tftp)], admin_port=admin.getsockname()[1])
    assert ports(doors.tftp) == [tftp.getsockname()[1]]
    assert ports(doors.http) == [http.getsockname()[1]]
    assert ports(doors.admin) == [admin.getsockname()[1]]


def test_a_unix_socket_is_the_administrations(
    open_doors: Open, make_socket: MakeSocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    unix = make_socket(address="admin.sock", family=socket.AF_UNIX)
    doors = open_doors([inherit("", unix)])
    assert [describe_address(each.getsockname()) for each in doors.admin] == ["admin.sock"]


@pytest.mark.parametrize(
    ("name", "kind"), [("http", socket.SOCK_DGRAM), ("admin", socket.SOCK_DGRAM), ("tftp", socket.SOCK_STREAM)]
)
def test_a_socket_of_the_wrong_kind_for_its_name_is_refused(
    open_doors: Open, make_socket: MakeSocket, name: str, kind: int
) -> None:
    wrong = make_socket(kind)
    shown = f"127.0.0.1:{wrong.getsockname()[1]}"
    with pytest.raises(SettingsError) as caught:
        open_doors([inherit(name, wrong)])
    assert str(caught.value).startswith(f"inherited socket {name!r} ({shown}): fits no door")


@pytest.mark.parametrize(
    ("name", "kind"), [("tftp", socket.SOCK_DGRAM), ("http", socket.SOCK_STREAM), ("dhcp", socket.SOCK_STREAM)]
)
def test_a_unix_socket_is_no_phones_door(
    make_socket: MakeSocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: int
) -> None:
    monkeypatch.chdir(tmp_path)
    unix = make_socket(kind, "x.sock", socket.AF_UNIX)
    with pytest.raises(SettingsError, match="fits no door"):
        open_door_sockets(settings(), [inherit(name, unix)]).close()


@pytest.mark.parametrize("name", ["dhcp", "", "xivo-provd-dhcp.socket"])
def test_a_unix_socket_for_datagrams_is_the_dhcp_hooks(
    open_doors: Open, make_socket: MakeSocket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    doors = open_doors([inherit(name, make_socket(socket.SOCK_DGRAM, "dhcp.sock", socket.AF_UNIX))])
    assert [describe_address(each.getsockname()) for each in doors.dhcp] == ["dhcp.sock"]


def test_the_dhcp_hooks_socket_is_opened_where_the_settings_say(open_doors: Open, tmp_path: Path) -> None:
    path = tmp_path / "dhcp.sock"
    doors = open_doors(dhcp_socket=path)
    assert [each.getsockname() for each in doors.dhcp] == [str(path)]
    assert path.stat().st_mode & 0o777 == 0o666
    assert doors.dhcp[0].getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED) == 1


def test_a_socket_that_a_crash_left_is_replaced(open_doors: Open, tmp_path: Path) -> None:
    path = tmp_path / "dhcp.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
        left.bind(str(path))
    assert open_doors(dhcp_socket=path).dhcp


@pytest.mark.parametrize("place", ["taken.sock", "file", "missing/dhcp.sock", "x" * 120])
def test_a_dhcp_socket_that_cannot_be_opened_is_told(open_doors: Open, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("somebody's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        taken.bind(str(tmp_path / "taken.sock"))
        with pytest.raises(SettingsError, match=rf"dhcp.socket: .*{place}: "):
            open_doors(dhcp_socket=tmp_path / place)
        assert (tmp_path / "taken.sock").is_socket()
    assert (tmp_path / "file").read_text() == "somebody's"


def test_a_descriptor_that_is_no_socket_is_refused(open_doors: Open) -> None:
    with pytest.raises(SettingsError, match="inherited socket 'http'"):
        open_doors([("http", os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))])

"""The peers: nginx and dnsmasq serve the same files from the disk, without knowing any phone."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from network import free_port
from servers import Server, running
from storm import BenchError

_DNSMASQ_PORT = 69
"""It has no option for another one."""
_START_S = 0.5

_NGINX_CONF = """\
daemon off;
user root;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/temporary;
    proxy_temp_path {folder}/temporary;
    fastcgi_temp_path {folder}/temporary;
    uwsgi_temp_path {folder}/temporary;
    scgi_temp_path {folder}/temporary;
    server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}
}}
"""
"""One process, no log: as little work as nginx can do."""


def find_program(name: str) -> str | None:
    """Where a program is, also if only administrators have its folder in their path."""
    return shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")


def missing_peers(*, private: bool) -> list[str]:
    """A sentence for each peer that cannot be measured here."""
    missing = [
        f"no rows of {name}: install the Debian package {package}"
        for name, package in (("nginx", "nginx"), ("dnsmasq", "dnsmasq-base"))
        if find_program(name) is None
    ]
    if not private and find_program("dnsmasq") is not None:
        missing.append("no rows of dnsmasq: its TFTP port is 69, which takes root or a network namespace")
    return missing


def public_copy(source: Path, target: Path) -> Path:
    """The same files for the peers, readable for all, because dnsmasq serves nothing else when it is root."""
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Server]:
    """A running nginx with one worker."""
    folder.mkdir()
    port, conf = free_port(), folder / "nginx.conf"
    conf.write_text(_NGINX_CONF.format(folder=folder, port=port, root=root))
    with running([find_program("nginx") or "nginx", "-p", str(folder), "-c", str(conf), "-e", "stderr"], folder) as it:
        _check_started("nginx", it, folder)
        yield Server("nginx", folder, it.pid, ("http",), http_port=port)


@contextmanager
def dnsmasq(folder: Path, root: Path) -> Iterator[Server]:
    """A running dnsmasq that does nothing but TFTP."""
    folder.mkdir()
    command = [
        find_program("dnsmasq") or "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0",
        "--listen-address=127.0.0.1", "--enable-tftp", f"--tftp-root={root}", "--tftp-max=4096", "--quiet-tftp",
    ]  # fmt: skip
    with running(command, folder) as it:
        _check_started("dnsmasq", it, folder)
        yield Server("dnsmasq", folder, it.pid, ("tftp",), tftp_port=_DNSMASQ_PORT)


def _check_started(name: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    time.sleep(_START_S)
    if process.poll() is not None:
        raise BenchError(f"{name} does not start: {(folder / 'output').read_text()[-1000:]}")

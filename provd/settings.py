"""Settings: one table of options is the source of their names, types, defaults and documentation.

They are read from TOML files, later files over earlier ones, then the command line over all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provd.errors import InvalidValueError, SettingsError
from provd.option_types import (
    Option,
    address,
    boolean,
    choice,
    file,
    folder,
    host,
    integer,
    location,
    networks,
    path,
    port,
    port_range,
    proxy,
    seconds,
    users,
)
from provd.settings_file import Tables, read_settings_file

DEFAULT_FILE = Path("/etc/xivo-provd/provd.toml")

LOG_LEVELS = ("debug", "info", "warning", "error")

OPTIONS: Sequence[Option] = (
    Option("general", "state_dir", folder, "/var/lib/xivo-provd", "Folder of the store and of the installed plugins.",
           "--state-dir", "DIR"),
    Option("general", "external_ip", host, "",
           "Address or name of this server that phones are told to use; empty: each phone is told the address of the "
           "interface that faces it."),
    Option("general", "bind", address, "",
           "Address on which phones are served, by TFTP and HTTP; empty: all addresses, IPv4 and IPv6.",
           "--bind", "ADDRESS"),
    Option("general", "nat", boolean, False,
           "Whether phones share addresses, because all of them are behind NAT; if so, an address may belong to "
           "several devices, and phones are recognised only by what names them, such as the MAC address.",
           reloadable=True),
    Option("general", "phone_networks", networks, [],
           "Networks that phones may come from, all if there are none; requests from elsewhere are refused.",
           reloadable=True),
    Option("general", "dhcp_integration", boolean, True,
           "Whether phones are learnt of from the DHCP server, as soon as that runs xivo-provd-dhcp-hook.",
           reloadable=True),
    Option("general", "plugin_server", location, "/usr/share/xivo-provd/plugins",
           "Repository of plugins: a folder, or an http or https URL.", "--plugin-repository", "DIR-or-URL",
           reloadable=True),
    Option("general", "plugin_signature", choice("optional", "required"), "optional",
           "Whether the repository's index has to be signed; with a plugin_keyring, a wrong signature is refused in "
           "both cases.", reloadable=True),
    Option("general", "plugin_keyring", path, "",
           "File with the public keys that may sign the repository's index, as gpg --export writes it; empty: "
           "signatures are not looked at.", reloadable=True),
    Option("general", "cache_dir", folder, "/var/cache/xivo-provd",
           "Folder of the plugins' archives that were downloaded, or put there by hand.", reloadable=True),
    Option("general", "cache_plugin", boolean, True,
           "Whether a plugin's archive stays in the cache after it was downloaded and used.", reloadable=True),
    Option("general", "http_proxy", proxy, "",
           "Proxy for downloads from http URLs; empty: none, whatever the environment says.", reloadable=True),
    Option("general", "https_proxy", proxy, "", "Proxy for downloads from https URLs; empty: none.", reloadable=True),
    Option("general", "ftp_proxy", proxy, "",
           "Proxy for downloads from ftp URLs, which is asked by HTTP; empty: none.", reloadable=True),
    Option("general", "base_raw_config_file", path, "",
           "JSON file with values that lie under every config; empty: none."),
    Option("general", "log_level", choice(*LOG_LEVELS), "info", "How much the log says.", "--log-level", "LEVEL",
           reloadable=True),
    Option("general", "drain_timeout", seconds(0, 300), 10,
           "Seconds that running transfers are given to end when the server stops.", reloadable=True),
    Option("tftp", "port", port, 69, "UDP port of the TFTP door; 0: a free one, for trying.", "--tftp-port", "N"),
    Option("tftp", "port_range", port_range, "",
           "Ports that transfers may use, such as 20000-20999, for firewalls; empty: any."),
    Option("tftp", "single_port", boolean, False,
           "Send all transfers from the TFTP port itself, for phones behind a NAT that lets nothing else through."),
    Option("tftp", "max_transfers", integer(1, 100_000), 4096, "Transfers that may run at the same time.",
           reloadable=True),
    Option("tftp", "max_transfers_per_address", integer(1, 100_000), 256,
           "Transfers that one address may have at the same time.", reloadable=True),
    Option("tftp", "max_blksize", integer(512, 65464), 65464, "Largest block size, in bytes, that is agreed to.",
           reloadable=True),
    Option("tftp", "max_windowsize", integer(1, 64), 16, "Most blocks that are sent without an acknowledgement.",
           reloadable=True),
    Option("http", "port", port, 8667, "TCP port of the phones' HTTP door; 0: a free one, for trying.",
           "--http-port", "N"),
    Option("http", "max_connections", integer(1, 100_000), 4096, "Connections that may be open at the same time.",
           reloadable=True),
    Option("http", "max_connections_per_address", integer(1, 100_000), 256,
           "Connections that one address may have open at the same time.", reloadable=True),
    Option("http", "head_timeout", seconds(1, 300), 10, "Seconds that a client may take to send a request.",
           reloadable=True),
    Option("http", "idle_timeout", seconds(1, 300), 15, "Seconds that a connection may wait for the next request.",
           reloadable=True),
    Option("http", "trusted_proxies", integer(0, 10), 0,
           "Number of proxies in front of the HTTP door whose X-Forwarded-For is believed; 0: the header is ignored.",
           reloadable=True),
    Option("admin", "port", port, 8666, "TCP port of the administration door; 0: a free one, for trying.",
           "--admin-port", "N"),
    Option("admin", "address", address, "127.0.0.1",
           "Address of the administration door, which asks for no password; empty: all addresses, so that whoever "
           "reaches this machine may administer it."),
    Option("dhcp", "socket", path, "",
           "Socket that is opened for xivo-provd-dhcp-hook; empty: none but the one that systemd hands over, "
           "/run/xivo-provd/dhcp.sock.", "--dhcp-socket", "FILE"),
    Option("dhcp", "users", users, ["_kea", "dhcpd"],
           "Users beside root, and the server's own, whose messages about leases are believed: those that the DHCP "
           "server's hook runs as.", reloadable=True),
    Option("admission", "burst", integer(1, 1_000_000), 2000,
           "Phones never seen before that may become devices at once, after a quiet time.", reloadable=True),
    Option("admission", "per_minute", integer(1, 1_000_000), 600,
           "Phones never seen before that may become devices in a minute, over a long time.", reloadable=True),
    Option("admission", "address_burst", integer(1, 1_000_000), 20,
           "The same as burst, for the phones from one IPv4 address.", reloadable=True),
    Option("admission", "address_per_minute", integer(1, 1_000_000), 10,
           "The same as per_minute, for the phones from one IPv4 address.", reloadable=True),
    Option("admission", "nat_address_burst", integer(1, 1_000_000), 500,
           "Used instead of address_burst while general.nat is on, since phones share addresses then; and for the "
           "phones from one IPv6 /64, since a whole site may be in that.", reloadable=True),
    Option("admission", "nat_address_per_minute", integer(1, 1_000_000), 60,
           "Used instead of address_per_minute while general.nat is on, and for the phones from one IPv6 /64.",
           reloadable=True),
    Option("admission", "unknown_leases", boolean, False,
           "Whether a lease makes a device also of a machine whose vendor no plugin knows, such as a computer.",
           reloadable=True),
    Option("admission", "max_unclaimed", integer(0, 1_000_000), 20_000,
           "Devices that came to be by themselves and that nobody has changed: how many there may be; further phones "
           "are refused.", reloadable=True),
    Option("admission", "expire_days", integer(0, 3650), 30,
           "Days without a sign of life after which such a device is removed; 0: never.", reloadable=True),
    Option("security", "log_file", file, "/var/log/xivo-provd-fail2ban.log",
           "File of the security log, which fail2ban reads."),
)  # fmt: skip
"""Every option there is."""

_BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
_TABLES: Tables = {
    table: {option.key: option for option in OPTIONS if option.table == table}
    for table in dict.fromkeys(option.table for option in OPTIONS)
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all options, checked: `settings["tftp.port"]`; and the files that were read."""

    values: Mapping[str, Any]
    files: Sequence[Path] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def load_settings(settings_file: Path | None, command_line: Mapping[str, str]) -> Settings:
    """Read the settings files and put the command line's values (by option name) over them.

    Without `settings_file`, the default file is read if it exists; a file that is given must exist. In both cases
    the files `conf.d/*.toml` beside it follow, in the order of their names.

    Raises:
        SettingsError: files or values are wrong; the message has a line for each mistake, which names the file, the
            key, the value and what is allowed.
    """
    values = dict(default_settings().values)
    files, mistakes = _settings_files(settings_file)
    for each in files:
        found, wrong = read_settings_file(each, _TABLES)
        values.update(found)
        mistakes += wrong
    for name, text in command_line.items():
        option = _BY_NAME[name]
        try:
            values[name] = option.check.from_text(str(option.flag), text)
        except InvalidValueError as error:
            mistakes.append(str(error))
    mistakes = mistakes or _contradictions(values)
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    return Settings(values, files)


def default_settings() -> Settings:
    """The settings of a server that nobody has set up."""
    return Settings({option.name: option.check(option.name, option.default) for option in OPTIONS})


def store_path(settings: Settings) -> Path:
    """The store's file."""
    return Path(settings["general.state_dir"]) / "provd.db"


def plugins_folder(settings: Settings) -> Path:
    """Where plugins are installed."""
    return Path(settings["general.state_dir"]) / "plugins"


def backups_folder(settings: Settings) -> Path:
    """Where what an administrator may miss is put before it is removed."""
    return Path(settings["general.state_dir"]) / "backups"


def nat_state_file(settings: Settings) -> Path:
    """The file that tells fail2ban's side whether general.nat is on."""
    return Path(settings["general.state_dir"]) / "nat"


def default_file_text() -> str:
    """The commented settings file: every option with its default."""
    lines = [
        "# Settings of xivo-provd. Every line that is commented out shows the default.",
        "# A change needs a restart, or only a reload where that is said (systemctl reload xivo-provd).",
    ]
    for table, options in _TABLES.items():
        lines += ["", f"[{table}]"]
        for option in options.values():
            lines += ["", f"# {option.doc}", f"# Allowed: {option.check.allowed}"]
            lines += ["# A reload is enough."] * option.reloadable
            lines.append(f"# {option.as_toml()}")
    return "\n".join(lines) + "\n"


def _settings_files(settings_file: Path | None) -> tuple[list[Path], list[str]]:
    """The files to read, in their order, and what keeps anybody from finding out which there are."""
    main_file = (settings_file or DEFAULT_FILE).absolute()
    folder = main_file.parent / "conf.d"
    try:
        files = [main_file] if settings_file is not None or main_file.exists() else []
    except OSError as error:
        return [], [f"{main_file}: {error.strerror}"]
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".toml"))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        return files, [f"{folder}: {error.strerror}"]
    return files + [folder / name for name in names], []


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """Mistakes in settings that are right when one looks at each alone."""
    if values["general.plugin_signature"] == "required" and values["general.plugin_keyring"] is None:
        return ["general.plugin_signature is required, but general.plugin_keyring names no file with keys"]
    port, addresses = values["admin.port"], (values["admin.address"], values["general.bind"])
    if port == values["http.port"] != 0 and _overlap(*addresses):
        return [f"admin.port and http.port are both {port}; on the same address only one door can have it"]
    return []


def _overlap(one: str, other: str) -> bool:
    """Tell whether two addresses to listen on have an address in common; the empty text and `::` mean all."""
    if one == other or {one, other} & {"", "::"}:
        return True
    return "0.0.0.0" in (one, other) and ":" not in one + other

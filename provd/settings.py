"""Settings: one table of options is the source of their names, types, defaults and documentation.

They are read from TOML files, later files over earlier ones, then the command line over all.
"""

from __future__ import annotations

import tomllib
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
    path,
    port,
    port_range,
    seconds,
)

DEFAULT_FILE = Path("/etc/xivo-provd/provd.toml")

LOG_LEVELS = ("debug", "info", "warning", "error")

OPTIONS: Sequence[Option] = (
    Option("general", "state_dir", folder, "/var/lib/xivo-provd", "Folder of the store and of the installed plugins.",
           "--state-dir", "DIR"),
    Option("general", "external_ip", host, "",
           "Address or name of this server that phones are told to use; empty: the address of the interface that the "
           "default route goes through."),
    Option("general", "bind", address, "",
           "Address on which phones are served, by TFTP and HTTP; empty: all addresses, IPv4 and IPv6.",
           "--bind", "ADDRESS"),
    Option("general", "plugin_server", location, "/usr/share/xivo-provd/plugins",
           "Repository of plugins: a folder, or an http or https URL.", "--plugin-repository", "DIR-or-URL"),
    Option("general", "base_raw_config_file", path, "",
           "JSON file with values that lie under every config; empty: none."),
    Option("general", "log_level", choice(*LOG_LEVELS), "info", "How much the log says.", "--log-level", "LEVEL"),
    Option("general", "drain_timeout", seconds(0, 300), 10,
           "Seconds that running transfers are given to end when the server stops."),
    Option("tftp", "port", port, 69, "UDP port of the TFTP door; 0: a free one, for trying.", "--tftp-port", "N"),
    Option("tftp", "port_range", port_range, "",
           "Ports that transfers may use, such as 20000-20999, for firewalls; empty: any."),
    Option("tftp", "single_port", boolean, False,
           "Send all transfers from the TFTP port itself, for phones behind a NAT that lets nothing else through."),
    Option("tftp", "max_transfers", integer(1, 100_000), 4096, "Transfers that may run at the same time."),
    Option("tftp", "max_transfers_per_address", integer(1, 100_000), 256,
           "Transfers that one address may have at the same time."),
    Option("tftp", "max_blksize", integer(512, 65464), 65464, "Largest block size, in bytes, that is agreed to."),
    Option("tftp", "max_windowsize", integer(1, 64), 16, "Most blocks that are sent without an acknowledgement."),
    Option("http", "port", port, 8667, "TCP port of the phones' HTTP door; 0: a free one, for trying.",
           "--http-port", "N"),
    Option("http", "max_connections", integer(1, 100_000), 4096, "Connections that may be open at the same time."),
    Option("http", "max_connections_per_address", integer(1, 100_000), 256,
           "Connections that one address may have open at the same time."),
    Option("http", "head_timeout", seconds(1, 300), 10, "Seconds that a client may take to send a request."),
    Option("http", "idle_timeout", seconds(1, 300), 15, "Seconds that a connection may wait for the next request."),
    Option("http", "trusted_proxies", integer(0, 10), 0,
           "Number of proxies in front of the HTTP door whose X-Forwarded-For is believed; 0: the header is ignored."),
    Option("admin", "port", port, 8666, "TCP port of the administration door; 0: a free one, for trying.",
           "--admin-port", "N"),
    Option("admin", "address", address, "127.0.0.1", "Address of the administration door."),
    Option("security", "log_file", file, "/var/log/xivo-provd-fail2ban.log",
           "File of the security log, which fail2ban reads."),
)  # fmt: skip
"""Every option there is."""

_BY_NAME = {(option.table, option.key): option for option in OPTIONS}
_TABLES = tuple(dict.fromkeys(option.table for option in OPTIONS))


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of all options, checked: `settings["tftp.port"]`."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def load_settings(settings_file: Path | None, command_line: Mapping[str, Any]) -> Settings:
    """Read the settings files and put the command line's values (by option name) over them.

    Without `settings_file`, the default file is read if it exists; a file that is given must exist. In both cases
    the files `conf.d/*.toml` beside it follow, in the order of their names.

    Raises:
        SettingsError: a file or value is wrong; the message names the file, the key, the value and what is allowed.
    """
    values = {option.name: option.check(option.name, option.default) for option in OPTIONS}
    main_file = settings_file or DEFAULT_FILE
    files = [main_file] if settings_file is not None or main_file.exists() else []
    files += sorted(main_file.parent.joinpath("conf.d").glob("*.toml"))
    for each in files:
        values.update(_read_file(each))
    for name, value in command_line.items():
        option = _BY_NAME[tuple(name.split("."))]  # type: ignore[index]
        values[name] = _checked(option, value, f"{option.flag}")
    return Settings(values)


def store_path(settings: Settings) -> Path:
    """The store's file."""
    return Path(settings["general.state_dir"]) / "provd.db"


def plugins_folder(settings: Settings) -> Path:
    """Where plugins are installed."""
    return Path(settings["general.state_dir"]) / "plugins"


def default_file_text() -> str:
    """The commented settings file: every option with its default."""
    lines = ["# Settings of xivo-provd. Every line that is commented out shows the default."]
    for table in _TABLES:
        lines += ["", f"[{table}]"]
        for option in (each for each in OPTIONS if each.table == table):
            lines += ["", f"# {option.doc}", f"# Allowed: {option.check.allowed}", f"# {option.as_toml()}"]
    return "\n".join(lines) + "\n"


def _read_file(toml_file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(toml_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{toml_file}: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise SettingsError(f"{toml_file}: {error}") from error
    values = {}
    for table, entries in data.items():
        if table in _TABLES and not isinstance(entries, dict):
            raise SettingsError(f"{toml_file}: {table}: a value is not allowed here; allowed: the table [{table}]")
        if table not in _TABLES:
            allowed = ", ".join(f"[{name}]" for name in _TABLES)
            raise SettingsError(f"{toml_file}: {table}: there is no such table; allowed: {allowed}")
        for key, value in entries.items():
            option = _BY_NAME.get((table, key))
            if option is None:
                allowed = ", ".join(each.key for each in OPTIONS if each.table == table)
                raise SettingsError(f"{toml_file}: {table}.{key}: there is no such option; allowed: {allowed}")
            values[option.name] = _checked(option, value, option.name, f"{toml_file}: ")
    return values


def _checked(option: Option, value: Any, where: str, prefix: str = "") -> Any:
    try:
        return option.check(where, value)
    except InvalidValueError as error:
        raise SettingsError(f"{prefix}{error}") from error

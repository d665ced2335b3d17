"""`xivo-provd dhcp-config`: prints what a DHCP server has to tell phones."""

from __future__ import annotations

import argparse
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from provd.dhcp import dnsmasq, isc, kea
from provd.dhcp.collect import Collection, collect
from provd.dhcp.kea import KeaPlace
from provd.dhcp.rules import make_rules
from provd.dhcp.snippet import HOOK, Snippet
from provd.dhcp.table import Table
from provd.dhcp.values import ServerPlace, printable
from provd.errors import InvalidValueError, ProvdError, SettingsError
from provd.model import values
from provd.model.address import is_unspecified
from provd.option_types import integer
from provd.settings import DEFAULT_FILE, Settings, default_settings, load_settings, plugins_folder

KEA_LIBRARY = "/usr/lib/{}/kea/hooks/libdhcp_run_script.so"
"""Where Debian has Kea's library that runs scripts, with the name of the machine's architecture."""

_port = integer(1, 65535)

_EPILOG = f"""\
The phones are those of all families in the repository of plugins (general.plugin_server, if that is a folder) and of
the installed plugins. The snippet's first lines say where to put it and what else to do.

exit codes:
  0  the snippet was printed
  {ProvdError.exit_code}  there is nothing to print, or the families contradict each other
  {SettingsError.exit_code}  the command line is wrong
"""


def main(arguments: Sequence[str]) -> None:
    """Print the snippet; ends the process with what the error says if that cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        print(_snippet(options), end="")
    except ProvdError as error:
        _say(str(error))
        sys.exit(error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xivo-provd dhcp-config",
        description="Prints a snippet for the configuration of a DHCP server: how phones find provd, and how provd "
        "learns of phones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--server", required=True, choices=("isc", "kea", "dnsmasq"), help="the DHCP server's kind")
    parser.add_argument(
        "--provd-address",
        metavar="ADDRESS",
        help="provd's address or name, as phones reach it (default: general.external_ip)",
    )
    parser.add_argument("--http-port", metavar="N", help="provd's HTTP port (default: http.port)")
    parser.add_argument("--tftp-port", metavar="N", help="provd's TFTP port (default: tftp.port)")
    parser.add_argument(
        "--family", metavar="NAME", action="append", help="tell only phones of this family; may be repeated"
    )
    parser.add_argument("--hook", metavar="FILE", help=f"for Kea: where the hook is (default: {HOOK})")
    parser.add_argument(
        "--kea-library", metavar="FILE", help=f"where Kea's library is (default: {KEA_LIBRARY.format(_multiarch())})"
    )
    parser.add_argument(
        "--kea-fragment", action="store_true", help='print only what belongs into "Dhcp4", to be included there'
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"provd's settings file (default: {DEFAULT_FILE})")
    return parser


def _snippet(options: argparse.Namespace) -> str:
    try:
        _check_kea_options(options)
        settings = _settings(options.config)
        place = _place(options, settings)
        hook = printable("--hook", options.hook or HOOK)
        library = printable("--kea-library", options.kea_library or KEA_LIBRARY.format(_multiarch()))
    except InvalidValueError as error:
        raise SettingsError(str(error)) from error
    collection = collect(str(settings["general.plugin_server"]), plugins_folder(settings))
    for note in collection.notes:
        _say(f"note: {note}")
    snippet = Snippet(make_rules(_chosen(collection, options.family), place), place, hook)
    renderers: Mapping[str, Callable[[Snippet], str]] = {
        "isc": isc.render,
        "dnsmasq": dnsmasq.render,
        "kea": lambda each: kea.render(each, KeaPlace(library, options.kea_fragment)),
    }
    return renderers[options.server](snippet)


def _check_kea_options(options: argparse.Namespace) -> None:
    """Refuse what only Kea can have for another server, rather than ignore it."""
    given = {"--hook": options.hook, "--kea-library": options.kea_library, "--kea-fragment": options.kea_fragment}
    for flag, value in given.items():
        if value and options.server != "kea":
            raise SettingsError(f"{flag}: is for --server kea only")
        if isinstance(value, str) and not value.startswith("/"):
            raise InvalidValueError(flag, value, "the absolute path of a file")


def _settings(file: Path | None) -> Settings:
    """The settings, or their defaults: whoever configures a DHCP server may not be allowed to read them."""
    try:
        return load_settings(file and file.absolute(), {})
    except SettingsError as error:
        for line in str(error).split("\n"):
            _say(f"note: {line}")
        _say("note: the settings cannot be used, so their defaults are")
        return default_settings()


def _place(options: argparse.Namespace, settings: Settings) -> ServerPlace:
    flag, address = "--provd-address", options.provd_address
    if address is None:
        flag, address = "general.external_ip", settings["general.external_ip"]
        if not address:
            raise SettingsError("--provd-address: missing; needed: provd's address or name, as phones reach it")
    if is_unspecified(values.host(flag, address)) or "%" in address:
        raise InvalidValueError(flag, address, "an address or a name that phones can reach")
    return ServerPlace(
        address=address,
        http_port=_port_of("http.port", options.http_port, settings),
        tftp_port=_port_of("tftp.port", options.tftp_port, settings),
    )


def _port_of(name: str, text: str | None, settings: Settings) -> int:
    flag = f"--{name.replace('.', '-')}"
    port = _port(name, settings[name]) if text is None else _port.from_text(flag, text)
    return int(port)


def _chosen(collection: Collection, families: Sequence[str] | None) -> list[Table]:
    """The tables of the families that were asked for, or of all.

    Raises:
        ProvdError: there are none.
    """
    there_are = ", ".join(sorted(collection.tables))
    if not there_are:
        raise ProvdError("nothing is known of phones: there is neither a repository with a table nor a plugin with one")
    for family in families or ():
        if family not in collection.tables:
            raise SettingsError(f"--family: {family!r} is not known; there are {there_are}")
    return [table for family, table in collection.tables.items() if not families or family in families]


def _multiarch() -> str:
    """The name of this machine's architecture in the paths of libraries."""
    return str(sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu")


def _say(text: str) -> None:
    print(f"xivo-provd dhcp-config: {text}", file=sys.stderr)

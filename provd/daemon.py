"""`xivo-provd` without a sub-command: the daemon's command line."""

from __future__ import annotations

import signal

from gevent import monkey

monkey.patch_all()
for _number in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(_number, signal.SIG_IGN)  # until the server listens to them: a log rotation must not end its start

import argparse
import faulthandler
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

from provd import __version__
from provd.check import Findings, become_owner, check
from provd.errors import ProvdError, SettingsError
from provd.logs import set_up_logging
from provd.server import Server
from provd.settings import DEFAULT_FILE, OPTIONS, load_settings


_EPILOG = f"""\
sub-command:
  dhcp-config  print what a DHCP server has to tell phones; xivo-provd dhcp-config --help says how

exit codes:
  0  the server stopped as it was told to; --check found nothing but warnings
  {ProvdError.exit_code}  something fails: the store, a plugin or the repository of plugins
  {SettingsError.exit_code}  settings or command line are wrong, or what they name cannot be used
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the daemon until it is told to stop; ends the process with 0, or with what the error says."""
    faulthandler.enable()  # the watchdog's signal makes it say where it hangs
    options = _parser().parse_args(arguments)
    given = {
        option.name: value
        for option in OPTIONS
        if option.flag and (value := getattr(options, _destination(option.flag))) is not None
    }
    try:
        read_settings = functools.partial(load_settings, options.config and options.config.absolute(), given)
        settings = read_settings()
        set_up_logging(settings["general.log_level"])
        if options.check:
            become_owner(settings["general.state_dir"])
            sys.exit(_report(check(settings)))
        Server(settings, options.install_plugin, read_settings).run()
    except ProvdError as error:
        _complain(str(error))
        sys.exit(error.exit_code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xivo-provd",
        description="Serves phones the files made for them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"xivo-provd {__version__}")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"settings file, with conf.d/*.toml beside it (default: {DEFAULT_FILE})",
    )
    for option in OPTIONS:
        if option.flag:
            parser.add_argument(option.flag, metavar=option.metavar, help=option.doc.replace("%", "%%"))
    parser.add_argument(
        "--install-plugin",
        metavar="ID",
        action="append",
        default=[],
        help="install a plugin from the repository if it is not there, then go on; one that is there is not upgraded; "
        "may be repeated",
    )
    parser.add_argument(
        "--check", action="store_true", help="check settings, store and plugins, say what is wrong, and end"
    )
    return parser


def _destination(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _report(findings: Findings) -> int:
    for problem in (*findings.mistakes, *findings.damage):
        _complain(problem)
    for warning in findings.warnings:
        _complain(f"warning: {warning}")
    for thing in findings.looked_at:
        print(f"xivo-provd: {thing}")
    if not findings.exit_code:
        but = ", but there are warnings" if findings.warnings else ""
        print(f"xivo-provd: settings, store and plugins are in order{but}")
    return findings.exit_code


def _complain(text: str) -> None:
    for line in text.split("\n"):
        print(f"xivo-provd: {line}", file=sys.stderr)

"""Aastra: one `name: value` a line; `#` begins a comment, quotes go around values that need them."""

from __future__ import annotations

import re

from provd.model.request import DhcpLease, HttpRequest
from provd.plugins.models import Model
from provd.plugins.rendering import RenderedFile

from . import NotWellFormedError, Request

PUBLIC_FILES = (
    "Aastra/aastra.cfg",
    "Aastra/6731i.cfg",
    "Aastra/6731i.st",
    "Aastra/i18n/lang_fr.txt",
    "Aastra/security.tuz",
    "Aastra/00085D2EECFB-ca_servers.crt",
)
SHOWN_GLOBALS = (
    "dns_ip", "ntp_ip", "vlan_id", "vlan_pc_port_id", "syslog_ip", "syslog_port", "admin_password", "user_password",
    "sip_proxy_ip", "sip_proxy_port", "sip_backup_proxy_ip", "sip_backup_proxy_port", "sip_registrar_ip",
    "sip_registrar_port", "sip_backup_registrar_ip", "sip_backup_registrar_port", "sip_outbound_proxy_ip",
    "sip_outbound_proxy_port", "exten_park", "exten_pickup_call", "exten_voicemail", "X_xivo_phonebook_ip",
    "X_xivo_user_uuid",
)  # fmt: skip
SHOWN_OF_LINE = (
    "proxy_ip", "proxy_port", "backup_proxy_ip", "backup_proxy_port", "registrar_ip", "registrar_port",
    "backup_registrar_ip", "backup_registrar_port", "outbound_proxy_ip", "outbound_proxy_port", "username",
    "auth_username", "password", "display_name", "number", "voicemail",
)  # fmt: skip
SHOWN_OF_KEY = ("value",)

_TEXT = r".*"
_HOST = r"[A-Za-z0-9_.:%-]+"
_PORT = r"\d{1,5}"
_FLAG = r"[01]"
_DST_CHANGE = {"month": r"[1-9]|1[0-2]", "week": r"-1|[1-5]", "day": r"[1-7]", "hour": r"1?\d|2[0-3]"}
_LOG_MODULES = ("ept", "ind", "kbd", "linemgr", "net", "provis", "rtpt", "sip", "snd", "stun", "user interface")

_PARAMETERS = {
    "download protocol": r"TFTP|FTP|HTTP|HTTPS",
    "http server": _HOST,
    "http port": _PORT,
    "http path": _TEXT,
    "https server": _HOST,
    "https port": _PORT,
    "https path": _TEXT,
    "contact rcs": r"0",
    "auto resync mode": r"[0-3]",
    "dns1": _HOST,
    "tagging enabled": _FLAG,
    "vlan id": r"\d{1,4}",
    "priority non-ip": r"[0-7]",
    "vlan id port 1": r"\d{1,4}",
    "time server disabled": _FLAG,
    "time server1": _HOST,
    "time zone name": r"Custom",
    "time zone minutes": r"-?\d{1,3}",
    "dst config": r"[03]",
    "dst minutes": r"[1-5]?\d|60",
    "dst [start|end] relative date": r"1",
    **{f"dst {which} {part}": form for which in ("start", "end") for part, form in _DST_CHANGE.items()},
    "time format": _FLAG,
    "date format": r"[0-9]|1[01]",
    "language": r"[0-4]",
    "language 1": r"i18n/lang_[a-z_]+\.txt",
    "web language": r"[0-4]",
    "input language": r"English|French|German|Spanish|Italian|Dutch",
    "tone set": r"Australia|Europe|France|Germany|Italy|Mexico|United Kingdom|US",
    "admin password": _TEXT,
    "user password": _TEXT,
    "log server ip": _HOST,
    "log server port": _PORT,
    **{f"log module {module}": r"1|3|7|39|65535" for module in _LOG_MODULES},
    "sip transport protocol": r"[0124]",
    "sips persistent tls": _FLAG,
    "sips trusted certificates": r"[0-9A-F]{12}-ca_servers\.crt",
    "sips root and intermediate certificates": r"[0-9A-F]{12}-ca_local\.crt",
    "sips local certificate": r"[0-9A-F]{12}-local\.crt",
    "sips private key": r"[0-9A-F]{12}-local\.key",
    "sip srtp mode": r"[0-2]",
    "sip out-of-band dtmf": _FLAG,
    "sip dtmf method": r"[0-2]",
    "sip explicit mwi subscription": _FLAG,
    "sip explicit mwi subscription period": r"\d+",
    "sip rport": _FLAG,
    "directed call pickup": _FLAG,
    "directed call pickup prefix": _TEXT,
    "xml application post list": _HOST,
}
_LINE_PARAMETERS = {
    "screen name": _TEXT,
    "screen name 2": _TEXT,
    "display name": _TEXT,
    "user name": _TEXT,
    "auth name": _TEXT,
    "password": _TEXT,
    "proxy ip": _HOST,
    "proxy port": _PORT,
    "registrar ip": _HOST,
    "registrar port": _PORT,
    "backup proxy ip": _HOST,
    "backup proxy port": _PORT,
    "backup registrar ip": _HOST,
    "backup registrar port": _PORT,
    "outbound proxy": _HOST,
    "outbound proxy port": _PORT,
    "dtmf method": r"[0-2]",
    "srtp mode": r"-1|[0-2]",
    "vmail": _TEXT,
    "park pickup config": r".*;.*;asterisk",
}
_KEY_PARAMETERS = {"type": r"none|speeddial|blf|park|xml", "value": _TEXT, "label": _TEXT, "line": r"[1-9]\d*"}

_LINE_NAME = re.compile(r"sip line(\d+) (.+)")
_KEY_NAME = re.compile(r"(?:expmod(\d+) key|(prgkey|topsoftkey|softkey))(\d+) (.+)")


def read(file: RenderedFile, model: Model) -> dict[str, str]:
    """The parameters of a phone's file; certificates have none."""
    text = file.content.decode("utf-8")
    if file.path.endswith((".crt", ".key")):
        return _read_pem(text)
    if not text.endswith("\n") or text.splitlines() != text.split("\n")[:-1]:
        raise NotWellFormedError("lines must end with a line feed, and nothing else may end a line")
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            name, value = _read_line(line)
            if name in found:
                raise NotWellFormedError("the parameter is given twice")
            if name:
                _check(name, value, model)
                found[name] = value
        except NotWellFormedError as error:
            raise NotWellFormedError(f"{file.path}, line {number}: {line!r}: {error}") from None
    return found


def introductions(name: str) -> tuple[Request, ...]:
    """By HTTP, and by DHCP."""
    agent = f"Aastra{name} MAC:00-08-5D-2E-EC-FB V:3.3.1.4365-SIP"
    return (
        HttpRequest("192.0.2.7", "Aastra/aastra.cfg", headers={"user-agent": agent}),
        DhcpLease("192.0.2.7", "00:08:5d:2e:ec:fb", {60: f"AastraIPPhone{name}".encode()}),
    )


def _read_pem(text: str) -> dict[str, str]:
    lines = text.split("\n")
    if not lines[0].startswith("-----BEGIN ") or not lines[-2].startswith("-----END ") or "" in lines[:-1]:
        raise NotWellFormedError("not PEM text without empty lines")
    return {}


def _read_line(line: str) -> tuple[str, str]:
    """Name and value of a line; the name is empty if the line is, or is a comment."""
    if not line or line.startswith("#"):
        return "", ""
    name, colon, rest = line.partition(":")
    if not colon:
        raise NotWellFormedError("no colon")
    return name, _unquoted(rest.strip(" \t"))


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        if "#" in value:
            raise NotWellFormedError("what follows # is a comment, unless quoted")
        return value
    if len(value) < 2 or not value.endswith('"') or '"' in value[1:-1]:
        raise NotWellFormedError("quotes must enclose the value, and cannot be within it")
    return value[1:-1]


def _check(name: str, value: str, model: Model) -> None:
    if match := _LINE_NAME.fullmatch(name):
        _check_number(int(match[1]), model.lines, "lines")
        _check_value(_LINE_PARAMETERS, match[2], value)
    elif match := _KEY_NAME.fullmatch(name):
        _check_key(match, model)
        _check_value(_KEY_PARAMETERS, match[4], value)
        if match[4] == "line":
            _check_number(int(value), model.lines, "lines")
    else:
        _check_value(_PARAMETERS, name, value)


def _check_key(match: re.Match[str], model: Model) -> None:
    module, kind, number, parameter = match.groups()
    if module:
        _check_number(int(module), model.modules, "expansion modules")
        _check_number(int(number), model.module_keys, "keys of a module")
    else:
        _check_number(int(number), sum(block.count for block in model.keys if block.kind == kind), f"{kind}s")
    if kind == "prgkey" and parameter == "label":
        raise NotWellFormedError("such a key has a paper label")


def _check_number(number: int, count: int, what: str) -> None:
    if not 1 <= number <= count:
        raise NotWellFormedError(f"the phone has {count} {what}")


def _check_value(parameters: dict[str, str], name: str, value: str) -> None:
    if name not in parameters:
        raise NotWellFormedError("the parameter is not known")
    if re.fullmatch(parameters[name], value) is None:
        raise NotWellFormedError(f"the value must match {parameters[name]}")

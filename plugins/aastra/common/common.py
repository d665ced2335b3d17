"""Aastra and Mitel SIP phones (6700i, 9000i and later): what the plugins of all firmware versions share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from provd.plugins.api import (
    DhcpLease,
    DstChange,
    File,
    HttpRequest,
    Identity,
    KeyPosition,
    Model,
    Notification,
    Plugin,
    PluginError,
    PluginInfo,
    TftpRequest,
    format_mac,
    normalize_mac,
    phonebook_url,
    timezone_rule,
)

VENDOR = "Aastra"
"""What the phones are stored with, also those that call themselves Mitel."""

FOLDER = "Aastra"
"""Where a phone's files lie below the address of the server, by HTTP and TFTP alike."""

NO_SERVER = "0.0.0.0"
"""How the phones spell "no such server"."""

_OUIS = ("00:08:5d", "08:00:0f", "14:00:e9")

# `Aastra6731i MAC:00-08-5D-23-74-29 V:3.2.0.70-SIP`; versions 2.0 and older do not end in -SIP.
_USER_AGENT = re.compile(
    r"(?:Aastra|Mitel)(?P<model>\w{1,32}) MAC:(?P<mac>[0-9A-F]{2}(?:-[0-9A-F]{2}){5})"
    r" V:(?P<version>[\w.-]{1,64}?)(?:-SIP)?",
    re.ASCII,
)

# `AastraIPPhone6731i`. That 69xx phones say Mitel here is unverified.
_VENDOR_CLASS = re.compile(rb"(?:Aastra|Mitel)IPPhone(?P<model>\w{0,32})\0*")

_DEVICE_FILE = re.compile(
    r"(?P<mac>[0-9A-Fa-f]{12})(?:\.(?:cfg|tuz|lic)|-(?:ca_servers|ca_local|local)\.crt|-local\.key)"
)
_SENSITIVE_FILE = re.compile(r"[0-9A-Fa-f]{12}(?:\.cfg|\.tuz|-local\.key)")

# Names of all generations, spelled out because other vendors too name files after four digits (Cisco's 69xx).
_MODEL_FILE = re.compile(
    r"(?P<model>(?:67)?5[1357]i(?:CT)?|67[0-9]{2}i(?:CT)?|68[0-9]{2}i|69(?:05|10|15|20|30|40|70)[dw]?"
    r"|91(?:12|33|43)i|9?480i(?:CT)?)\.(?:cfg|tuz|st)"
)

_DTMF = {"RTP-in-band": (0, 0), "RTP-out-of-band": (1, 0), "SIP-INFO": (1, 1)}
"""`sip out-of-band dtmf` and `sip dtmf method` for each mode."""

_SRTP = {"disabled": 0, "preferred": 1, "required": 2}
_TRANSPORT = {"udp": 1, "tcp": 2, "tls": 4}
_LOG_LEVEL = {"critical": 1, "error": 3, "warning": 7, "info": 39, "debug": 65535}
"""Sums of one bit for each kind of message."""

_LANGUAGES = {
    "de": ("lang_de.txt", "German"),
    "en": (None, "English"),
    "es": ("lang_es.txt", "Spanish"),
    "fr": ("lang_fr.txt", "French"),
    "fr_CA": ("lang_fr_ca.txt", "French"),
    "it": ("lang_it.txt", "Italian"),
    "nl": ("lang_nl_nl.txt", "Dutch"),
}
"""Language pack, None for what the phone has built in, and `input language`; by locale or language."""

_TONE_SETS = {
    "AT": "Europe",
    "AU": "Australia",
    "BE": "Europe",
    "CA": "US",
    "CH": "Europe",
    "DE": "Germany",
    "ES": "Europe",
    "FR": "France",
    "GB": "United Kingdom",
    "IT": "Italy",
    "LU": "Europe",
    "MX": "Mexico",
    "NL": "Germany",
    "US": "US",
}
"""`tone set` by country; a phone that is told none keeps its own."""

_AMERICAN_CLOCKS = ("US", "en_CA")
"""Countries and locales with twelve hours on the clock and the month before the day."""

_LABELS = {
    "de": {"remote_directory": "Telefonbuch", "voicemail": "Mailbox"},
    "en": {"remote_directory": "Directory", "voicemail": "Voicemail"},
    "es": {"remote_directory": "Directorio", "voicemail": "Buzón"},
    "fr": {"remote_directory": "Annuaire", "voicemail": "Messagerie"},
    "it": {"remote_directory": "Rubrica", "voicemail": "Casella vocale"},
    "nl": {"remote_directory": "Telefoonboek", "voicemail": "Voicemail"},
}
"""Labels of keys that the plugin makes, or that a custom template may make."""

_CERTIFICATES = {
    "XX_trusted_certificates": ("sip_servers_root_and_intermediate_certificates", "-ca_servers.crt"),
    "XX_root_certificates": ("sip_local_root_and_intermediate_certificates", "-ca_local.crt"),
    "XX_local_certificate": ("sip_local_certificate", "-local.crt"),
    "XX_local_key": ("sip_local_key", "-local.key"),
}
"""Raw config key and end of the file's name, by the template's name for the file."""

_UNLABELLED = ("prgkey",)
"""Kinds of keys with a paper label, which take no `label`."""

_ANY_MODEL = Model(name="", names=(), lines=24)
"""For a model that the plugin does not know: as many lines as the family's largest, and no keys."""


def quoted(value: Any) -> str:
    """A template filter: `value` as it may stand after `name: ` in a file of this family.

    `#` begins a comment and blanks at the ends are cut, so such a value goes between quotes. A quote within quotes
    has no spelling: a value that would need one becomes empty.
    """
    text = "" if value is None else str(value)
    if "#" not in text and not text.startswith('"') and text == text.strip():
        return text
    return f'"{text}"' if '"' not in text else ""


class BaseAastraPlugin(Plugin):
    """The plugin of any firmware version; a version says in the class attributes what it does in another way."""

    LANGUAGE_FOLDER = "i18n"
    """Where language packs lie, seen from the folder of the phone's own file."""

    PARKING_PER_LINE = True
    """The codes for parking are settings of a line; firmware 4 and later takes them from the park key instead."""

    filters = {"quoted": quoted}

    def __init__(self, info: PluginInfo) -> None:
        super().__init__(info)
        self._model_names = {
            name: model.name for model in self.models.values() for name in (model.name, *model.names)
        }

    def identify_http(self, request: HttpRequest) -> Identity | None:
        """By the User-Agent, which says everything, or by the path if there is none.

        Phones always send a User-Agent; who sends another one, such as an administrator's browser, is no phone.
        """
        if not request.user_agent:
            return self._identify_path(request.path)
        match = _USER_AGENT.fullmatch(request.user_agent)
        if match is None:
            return None
        return Identity(VENDOR, self._model_name(match["model"]), match["version"], normalize_mac(match["mac"]))

    def identify_tftp(self, request: TftpRequest) -> Identity | None:
        """By the name of the file."""
        return self._identify_path(request.path)

    def identify_dhcp(self, lease: DhcpLease) -> Identity | None:
        """By the vendor class, or by the vendor's part of the MAC address if there is none.

        The same part of the address is used by other devices of Mitel's, which have vendor classes of their own.
        """
        vendor_class = lease.options.get(60, b"")
        if not vendor_class:
            return Identity(VENDOR) if lease.mac.startswith(_OUIS) else None
        match = _VENDOR_CLASS.fullmatch(vendor_class)
        if match is None:
            return None
        model = match["model"].decode("ascii")
        return Identity(VENDOR, self._model_name(model) if model else None)

    def is_sensitive(self, path: str) -> bool:
        """The phones' own files, plain or encrypted by the vendor's tool, and private keys."""
        return _SENSITIVE_FILE.fullmatch(_base_name(path)) is not None

    def device_files(self, device: dict[str, Any], raw_config: dict[str, Any]) -> list[File]:
        """`<MAC>.cfg`, and the certificates that it names."""
        if not device.get("mac"):
            raise PluginError("the device has no MAC address, and the name of an Aastra phone's file is made of it")
        mac = format_mac(device["mac"], "", upper=True)
        model = self.models.get(self._model_name(device.get("model") or ""), _ANY_MODEL)
        _check_accounts(model, raw_config)
        certificates = _certificate_files(mac, raw_config)
        context = {
            "XX_mac": mac,
            **{name: _base_name(file.path) for name, file in certificates.items()},
            **self._context(model, raw_config),
        }
        phone_file = File(f"{FOLDER}/{mac}.cfg", context, sensitive=True, proves_sync=True)
        return [phone_file, *certificates.values()]

    def resync(self, device: dict[str, Any], raw_config: dict[str, Any], *, reboot: bool) -> Notification:
        """`check-sync`: the phone reads its files again, and decides itself whether it must reboot."""
        return Notification("check-sync")

    def _identify_path(self, path: str) -> Identity | None:
        name = _base_name(path)
        if match := _DEVICE_FILE.fullmatch(name):
            mac = normalize_mac(match["mac"])
            return Identity(VENDOR, mac=mac) if mac.startswith(_OUIS) else None
        if match := _MODEL_FILE.fullmatch(name):
            return Identity(VENDOR, self._model_name(match["model"]))
        return None

    def _model_name(self, name: str) -> str:
        """The name that a model is stored with, for any name that it calls itself."""
        return self._model_names.get(name, name)

    def _context(self, model: Model, raw: Mapping[str, Any]) -> dict[str, Any]:
        """What the templates get beside the raw config."""
        lines = [_line(number, line, raw) for number, line in _own_lines(model, raw)]
        language = _language(raw.get("locale", ""))
        out_of_band, method = _DTMF.get(raw.get("sip_dtmf_mode", ""), (None, None))
        directory = phonebook_url(raw, VENDOR.lower())
        return {
            "XX_server": _provisioning_server(raw),
            "XX_timezone": "\n".join(_timezone_settings(raw["timezone"])) if "timezone" in raw else "",
            "XX_clock": _clock(raw["locale"]) if "locale" in raw else None,
            "XX_locale": language,
            "XX_language_folder": self.LANGUAGE_FOLDER,
            "XX_dict": _labels(raw.get("locale", "")),
            "XX_log_level": _LOG_LEVEL.get(raw.get("syslog_level", "warning")),
            "XX_out_of_band_dtmf": out_of_band,
            "XX_dtmf_method": method,
            "XX_srtp_mode": _SRTP.get(raw.get("sip_srtp_mode", "disabled")),
            "XX_transport_proto": _TRANSPORT.get(raw.get("sip_transport", "udp")),
            "XX_lines": lines,
            "XX_parking": "\n".join(_parking_settings(lines, raw)) if self.PARKING_PER_LINE else "",
            "XX_xivo_phonebook_url": directory,
            "XX_fkeys": "\n".join(_key_settings(model, raw, directory)),
        }


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _own_lines(model: Model, raw: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """The config's SIP lines that the phone has, by number."""
    lines = sorted((int(number), line) for number, line in raw["sip_lines"].items())
    return [(number, line) for number, line in lines if number <= model.lines]


def _check_accounts(model: Model, raw: Mapping[str, Any]) -> None:
    """Make sure that the phone will read each account and password as it is meant.

    A text for the screen may be lost without harm; a password may not.
    """
    values = {key: raw[key] for key in ("admin_password", "user_password") if key in raw}
    for number, line in _own_lines(model, raw):
        for key in ("username", "auth_username", "password"):
            values[f"sip_lines.{number}.{key}"] = line.get(key)
    for name, value in values.items():
        if value is None:
            raise PluginError(f"{name}: missing; each SIP line has one")
        if value and not quoted(value):
            raise PluginError(f'{name}: cannot be written: it needs quotes, and has a " itself')


def _certificate_files(mac: str, raw: Mapping[str, Any]) -> dict[str, File]:
    """The files of the certificates that the raw config has, by the template's names for them."""
    files = {}
    for name, (key, suffix) in _CERTIFICATES.items():
        blocks = raw.get(key)
        if not blocks:
            continue
        content = "\n".join([blocks] if isinstance(blocks, str) else blocks)
        lines = [line for line in content.splitlines() if line.strip()]
        sensitive = _SENSITIVE_FILE.fullmatch(mac + suffix) is not None
        files[name] = File(f"{FOLDER}/{mac}{suffix}", content="\n".join(lines) + "\n", sensitive=sensitive)
    return files


def _provisioning_server(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Where the phone finds its files. The URL is the config's own, or made of its address and port."""
    url = urlsplit(raw["http_base_url"])
    return {
        "protocol": url.scheme.upper(),
        "host": url.hostname,
        "port": url.port or (443 if url.scheme == "https" else 80),
        "path": "/".join(part for part in (url.path.strip("/"), FOLDER) if part),
    }


def _timezone_settings(name: str) -> Iterator[str]:
    """A zone of its own making, since the phone's list of zones is short and its rules are old."""
    rule = timezone_rule(name)
    yield "time zone name: Custom"
    yield f"time zone minutes: {-(rule.utc_offset_s // 60)}"
    if rule.dst_start is None or rule.dst_end is None:
        yield "dst config: 0"
        return
    yield "dst config: 3"
    yield f"dst minutes: {min(rule.dst_save_s // 60, 60)}"
    yield "dst [start|end] relative date: 1"
    yield from _dst_change_settings("start", rule.dst_start)
    yield from _dst_change_settings("end", rule.dst_end)


def _dst_change_settings(which: str, change: DstChange) -> Iterator[str]:
    """Weeks count as ours do, but the last is -1; days count from Sunday, 1; minutes have no place."""
    yield f"dst {which} month: {change.month}"
    yield f"dst {which} week: {-1 if change.week == 5 else change.week}"
    yield f"dst {which} day: {change.weekday + 1}"
    yield f"dst {which} hour: {change.hour}"


def _clock(locale: str) -> dict[str, int]:
    """`time format` and `date format` of a locale: 1:30pm and Mon Nov 23, or 13:30 and 23-Nov-26."""
    is_american = locale in _AMERICAN_CLOCKS or locale.partition("_")[2] in _AMERICAN_CLOCKS
    return {"time_format": 0, "date_format": 0} if is_american else {"time_format": 1, "date_format": 1}


def _language(locale: str) -> tuple[str | None, str | None, str | None]:
    """Language pack, `tone set` and `input language` for a locale; None for what the phone does not have."""
    language, _, country = locale.partition("_")
    pack, input_language = _LANGUAGES.get(locale) or _LANGUAGES.get(language) or (None, None)
    return pack, _TONE_SETS.get(country), input_language


def _labels(locale: str) -> Mapping[str, str]:
    return _LABELS.get(locale.partition("_")[0], _LABELS["en"])


def _line(number: int, line: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """A SIP line with all that holds for it, whether it says so itself or shares it with the others."""
    proxy, proxy_port = _server(line, raw, "proxy")
    registrar, registrar_port = _server(line, raw, "registrar")
    backup_proxy, backup_proxy_port = _server(line, raw, "backup_proxy")
    backup_registrar, backup_registrar_port = _server(line, raw, "backup_registrar")
    outbound_proxy, outbound_proxy_port = _server(line, raw, "outbound_proxy")
    if registrar == proxy:
        registrar_port = registrar_port or proxy_port
    if raw.get("sip_transport") == "tls" and outbound_proxy == NO_SERVER:
        # The one connection that the phone keeps open goes to the outbound proxy, says the vendor's guide.
        outbound_proxy, outbound_proxy_port = proxy, proxy_port
    dtmf_mode = line.get("dtmf_mode", raw.get("sip_dtmf_mode", ""))
    return {
        "index": number,
        "username": line["username"],
        "auth_username": line["auth_username"],
        "password": line["password"],
        "display_name": line.get("display_name", ""),
        "number": line.get("number", ""),
        "proxy_ip": proxy,
        "proxy_port": proxy_port,
        "backup_proxy_ip": backup_proxy,
        "backup_proxy_port": backup_proxy_port,
        "registrar_ip": registrar,
        "registrar_port": registrar_port,
        "backup_registrar_ip": backup_registrar,
        "backup_registrar_port": backup_registrar_port,
        "outbound_proxy_ip": outbound_proxy,
        "outbound_proxy_port": outbound_proxy_port,
        "voicemail": line.get("voicemail") or raw.get("exten_voicemail", ""),
        "XX_dtmf_method": _DTMF.get(dtmf_mode, (None, None))[1],
        "XX_srtp_mode": _SRTP[line.get("srtp_mode", raw.get("sip_srtp_mode", "disabled"))],
    }


def _server(line: Mapping[str, Any], raw: Mapping[str, Any], role: str) -> tuple[str, int]:
    """The address and port of a line's server; port 0 leaves it to DNS, or is 5060.

    An address of the line's own does not go with the port of the server that all lines share.
    """
    if f"{role}_ip" in line:
        return line[f"{role}_ip"], line.get(f"{role}_port", 0)
    port = line.get(f"{role}_port", raw.get(f"sip_{role}_port", 0))
    return raw.get(f"sip_{role}_ip", NO_SERVER), port


def _parking_settings(lines: list[dict[str, Any]], raw: Mapping[str, Any]) -> Iterator[str]:
    """One pair of codes for each line, to park and to pick up: the PBX takes the same extension for both."""
    for line in lines:
        code = _park_code(line["index"], raw)
        if config := code and quoted(f"{code};{code};asterisk"):
            yield f"sip line{line['index']} park pickup config: {config}"


def _park_code(line: int, raw: Mapping[str, Any]) -> str:
    """The extension of the first park key of this line, of the first one at all, or the PBX's."""
    keys = [key for key in raw["funckeys"].values() if key["type"] == "park" and key.get("value")]
    own = [key for key in keys if key.get("line", 1) == line]
    values = [key["value"] for key in own or keys]
    return _code(values[0] if values else raw.get("exten_park", ""))


def _code(text: str) -> str:
    """An extension that may stand between semicolons; empty if it has one itself."""
    return "" if ";" in text else text


def _key_settings(model: Model, raw: Mapping[str, Any], directory: str | None) -> Iterator[str]:
    """The settings of all function keys that the phone has."""
    for number, key in raw["funckeys"].items():
        position, value = model.key_position(int(number)), _key_value(key, raw)
        if position is not None and quoted(value):
            line = key.get("line", 1)
            label = key.get("label") or key.get("value") or value
            yield from _key(position, key["type"], value, label, line if line <= model.lines else 1)
    position = model.key_position(_directory_key(model, raw) or 0)
    if directory and position is not None:
        yield from _key(position, "xml", directory, _labels(raw.get("locale", ""))["remote_directory"])


def _key_value(key: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    """What the phone wants as a key's value; empty for a type of key that it does not know."""
    value: str = key.get("value", "")
    if key["type"] == "park":
        code = _code(value or raw.get("exten_park", ""))
        return f"asterisk;{code}" if code else ""
    return value if key["type"] in ("speeddial", "blf") else ""


def _directory_key(model: Model, raw: Mapping[str, Any]) -> int | None:
    """The number of the key for the directory: the model's usual one, or the nearest that the config leaves free."""
    usual = model.extra.get("directory_key", 1)
    free = [number for number in range(1, model.own_keys + 1) if str(number) not in raw["funckeys"]]
    return min(free, key=lambda number: (abs(number - usual), -number), default=None)


def _key(position: KeyPosition, kind: str, value: str, label: str, line: int | None = None) -> Iterator[str]:
    """The settings of one key."""
    name = f"{position.kind}{position.index}"
    if position.module:
        name = f"expmod{position.module} key{position.index}"
    yield f"{name} type: {kind}"
    yield f"{name} value: {quoted(value)}"
    if position.kind not in _UNLABELLED:
        yield f"{name} label: {quoted(label)}"
    if line is not None:
        yield f"{name} line: {line}"

"""What the Aastra plugin makes of particular models and values; the conformance kit tests the rest."""

from __future__ import annotations

import importlib.util
import shutil
import tarfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provd.errors import PluginError, TemplateError
from provd.model.identity import Identity
from provd.model.raw_config import prepare_raw_config
from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.api import Notification
from provd.plugins.loader import LoadedPlugin, load_plugin
from provd.plugins.rendering import render_device_files

TESTS = Path(__file__).parents[2]
SOURCES = TESTS.parent / "plugins"
PLUGIN_ID = "xivo-aastra-3.3.1-SP2"
MAC = "00:08:5d:2e:ec:fb"
PHONE_FILE = "Aastra/00085D2EECFB.cfg"

SERVER = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}
LINE = {"username": "je5qtq", "password": "s3cr3t", "display_name": "Alice Martin", "proxy_ip": "192.0.2.10"}
DIRECTORY = {"X_xivo_phonebook_ip": "192.0.2.10", "X_xivo_user_uuid": "0f3a5a9c"}
DIRECTORY_URL = "http://192.0.2.10:9498/0.1/directories/input/default/aastra?xivo_user_uuid=0f3a5a9c"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----"
OTHER_CERTIFICATE = "-----BEGIN CERTIFICATE-----\r\nbm90IG9uZSBlaXRoZXI=\r\n-----END CERTIFICATE-----\r\n"
KEY = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"

Settings = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin's folder as an archive of the repository unpacks it."""
    spec = importlib.util.spec_from_file_location("provd_plugins_builder", SOURCES / "builder.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    folder = tmp_path_factory.mktemp("aastra")
    entry = builder.build_repository(SOURCES, folder / "repository")[PLUGIN_ID]
    with tarfile.open(folder / "repository" / entry["filename"]) as archive:
        archive.extractall(folder)
    return folder / PLUGIN_ID


@pytest.fixture(scope="module")
def plugin(built: Path) -> LoadedPlugin:
    return load_plugin(built)


@pytest.fixture
def custom(built: Path, tmp_path: Path) -> LoadedPlugin:
    """A plugin of the test's own, for custom templates."""
    return load_plugin(Path(shutil.copytree(built, tmp_path / PLUGIN_ID)))


def files(plugin: LoadedPlugin, model: str, raw: dict[str, Any], mac: str = MAC) -> dict[str, str]:
    """The texts of a phone's files, by path."""
    prepared = prepare_raw_config({**SERVER, **raw})
    declared = plugin.code.device_files({"mac": mac, "model": model}, prepared)
    rendered = render_device_files(declared, plugin.templates, model, prepared)
    return {file.path: file.content.decode() for file in rendered}


@pytest.fixture
def settings(plugin: LoadedPlugin) -> Settings:
    """Give the settings that a phone is told, by name."""

    def told(model: str = "6731i", **raw: Any) -> dict[str, str]:
        return dict(_settings_in(files(plugin, model, raw)[PHONE_FILE]))

    return told


def _settings_in(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition(":")
            yield name, value.removeprefix(" ")


def keys(funckeys: dict[str, Any]) -> dict[str, Any]:
    """The raw config of a phone with a line and these function keys."""
    return {"sip_lines": {"1": LINE}, "funckeys": funckeys}


# The plugin's folder


def test_folder_is_laid_out_as_documented(built: Path) -> None:
    assert sorted(path.relative_to(built).as_posix() for path in built.rglob("*")) == sorted(
        [
            "README",
            "common.py",
            "entry.py",
            "pkgs",
            "pkgs/pkgs.db",
            "plugin-info",
            "templates",
            "templates/6730i.tpl",
            "templates/6731i.tpl",
            "templates/6739i.tpl",
            "templates/6753i.tpl",
            "templates/6755i.tpl",
            "templates/6757i.tpl",
            "templates/9143i.tpl",
            "templates/9480i.tpl",
            "templates/base.tpl",
            "var",
            "var/cache",
            "var/installed",
            "var/templates",
            "var/tftpboot",
            "var/tftpboot/Aastra",
            "var/tftpboot/Aastra/aastra.cfg",
        ]
    )


def test_common_file_is_not_empty(built: Path) -> None:
    text = (built / "var/tftpboot/Aastra/aastra.cfg").read_text(encoding="utf-8")
    assert dict(_settings_in(text)) == {"contact rcs": "0"}


@pytest.mark.parametrize(
    ("model", "lines", "own_keys", "modules", "firmware"),
    [
        ("6730i", 6, 8, 0, "3.3.1.4365"),
        ("6731i", 6, 8, 0, "3.3.1.4365"),
        ("6735i", 9, 26, 3, "3.3.1.8215"),
        ("6737i", 9, 30, 3, "3.3.1.8215"),
        ("6739i", 9, 55, 3, "3.3.1.4365"),
        ("6751i", 1, 0, 0, "3.3.1.4365"),
        ("6753i", 9, 6, 3, "3.3.1.4365"),
        ("6755i", 9, 26, 3, "3.3.1.4365"),
        ("6757i", 9, 30, 3, "3.3.1.4365"),
        ("9143i", 9, 7, 0, "3.3.1.4365"),
        ("9480i", 9, 6, 0, "3.3.1.4365"),
    ],
)
def test_models(
    plugin: LoadedPlugin, model: str, lines: int, own_keys: int, modules: int, firmware: str
) -> None:
    known = plugin.info.models[model]
    assert (known.lines, known.own_keys, known.modules, known.firmware) == (lines, own_keys, modules, firmware)
    assert known.behind_nat


# Whole files


def test_file_of_a_phone_that_is_not_assigned_yet(plugin: LoadedPlugin) -> None:
    raw = {
        "http_base_url": "http://192.0.2.10:8667",
        "ntp_enabled": True,
        "ntp_ip": "192.0.2.10",
        "timezone": "Europe/Paris",
        "locale": "fr_FR",
        "X_xivo_phonebook_ip": "192.0.2.10",
        "sip_dtmf_mode": "RTP-out-of-band",
        "admin_username": "admin",
        "admin_password": "48151",
        "user_username": "user",
        "user_password": "62342",
        "sip_lines": {
            "1": {
                "display_name": "Autoprov",
                "number": "autoprov",
                "username": "apmkq3zx1471000000",
                "password": "x7dk2m9q",
                "proxy_ip": "192.0.2.10",
                "registrar_ip": "192.0.2.10",
            }
        },
        "sccp_call_managers": {"1": {"ip": "192.0.2.10"}},
    }
    expected = (TESTS / "fixtures" / "aastra-6731i-autoprov.cfg").read_text(encoding="utf-8")
    assert files(plugin, "6731i", raw) == {PHONE_FILE: expected}


def test_phone_file_is_sensitive_and_proves_that_the_phone_is_in_sync(plugin: LoadedPlugin) -> None:
    (file,) = plugin.code.device_files({"mac": MAC}, prepare_raw_config(SERVER))
    assert (file.path, file.sensitive, file.proves_sync) == (PHONE_FILE, True, True)


@pytest.mark.parametrize("device", [{}, {"mac": None}, {"mac": ""}])
def test_device_without_mac_is_refused(plugin: LoadedPlugin, device: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="has no MAC address"):
        plugin.code.device_files(device, prepare_raw_config(SERVER))


def test_line_without_account_is_refused(plugin: LoadedPlugin) -> None:
    raw = {"protocol": "SCCP", "sip_lines": {"1": {"proxy_ip": "192.0.2.10"}}}
    with pytest.raises(PluginError, match=r"sip_lines\.1\.username: missing"):
        files(plugin, "6731i", raw)


@pytest.mark.parametrize("password", ['"abc', 'a"b#c', ' a"b'])
def test_password_that_cannot_be_written_is_refused_but_not_shown(plugin: LoadedPlugin, password: str) -> None:
    with pytest.raises(PluginError, match=r"sip_lines\.1\.password: cannot be written") as caught:
        files(plugin, "6731i", {"sip_lines": {"1": {**LINE, "password": password}}})
    assert password not in str(caught.value)


def test_lines_that_the_phone_does_not_have_are_left_out(settings: Settings) -> None:
    told = settings("6731i", sip_lines={"6": LINE, "7": {**LINE, "password": '"#"'}})
    assert told["sip line6 user name"] == "je5qtq"
    assert not [name for name in told if name.startswith("sip line7")]


def test_nothing_is_left_of_a_second_line_that_was_taken_away(settings: Settings) -> None:
    assert settings(sip_lines={"1": LINE, "2": LINE})["sip line2 user name"] == "je5qtq"
    assert not [name for name in settings(sip_lines={"1": LINE}) if name.startswith("sip line2")]


# Where the phone finds its files


def test_server_is_told_by_address_and_port(settings: Settings) -> None:
    told = settings()
    assert told["download protocol"] == "HTTP"
    assert (told["http server"], told["http port"], told["http path"]) == ("192.0.2.10", "8667", "Aastra")


def test_phones_of_a_site_may_reach_the_server_under_another_address(settings: Settings) -> None:
    told = settings(ip="2001:db8::5", http_port="80")
    assert (told["http server"], told["http port"], told["http path"]) == ("2001:db8::5", "80", "Aastra")


def test_base_url_goes_before_address_and_port(settings: Settings) -> None:
    told = settings(http_base_url="http://pbx.example.org/provd/k3y/")
    assert (told["http server"], told["http port"], told["http path"]) == (
        "pbx.example.org",
        "80",
        "provd/k3y/Aastra",
    )


def test_base_url_may_be_https(settings: Settings) -> None:
    told = settings(http_base_url="https://pbx.example.org:8443")
    assert told["download protocol"] == "HTTPS"
    assert (told["https server"], told["https port"], told["https path"]) == ("pbx.example.org", "8443", "Aastra")
    assert "http server" not in told


# Time


def dst(told: dict[str, str]) -> dict[str, str]:
    """What a phone is told of its time zone."""
    return {name: value for name, value in told.items() if name.startswith(("time zone", "dst"))}


def dst_rule(minutes: int, start: str, end: str, save: int = 60) -> dict[str, str]:
    """Settings of a zone with daylight saving time; its changes are given as "month week day hour"."""
    parts = ("month", "week", "day", "hour")
    return {
        "time zone name": "Custom",
        "time zone minutes": str(minutes),
        "dst config": "3",
        "dst minutes": str(save),
        "dst [start|end] relative date": "1",
        **{f"dst start {part}": value for part, value in zip(parts, start.split(), strict=True)},
        **{f"dst end {part}": value for part, value in zip(parts, end.split(), strict=True)},
    }


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Paris", dst_rule(-60, "3 -1 1 2", "10 -1 1 3")),
        ("America/New_York", dst_rule(300, "3 2 1 2", "11 1 1 2")),
        ("Australia/Sydney", dst_rule(-600, "10 1 1 2", "4 1 1 3")),
        ("America/St_Johns", dst_rule(210, "3 2 1 2", "11 1 1 2")),
        ("Australia/Lord_Howe", dst_rule(-630, "10 1 1 2", "4 1 1 2", save=30)),
        ("Asia/Jerusalem", dst_rule(-120, "3 4 6 2", "10 -1 1 2")),
        ("Asia/Kolkata", {"time zone name": "Custom", "time zone minutes": "-330", "dst config": "0"}),
        ("UTC", {"time zone name": "Custom", "time zone minutes": "0", "dst config": "0"}),
    ],
)
def test_time_zone(settings: Settings, zone: str, expected: dict[str, str]) -> None:
    assert dst(settings(timezone=zone)) == expected


def test_without_a_time_zone_the_phone_keeps_its_own(settings: Settings) -> None:
    assert dst(settings()) == {}


@pytest.mark.parametrize(
    ("locale", "time_format", "date_format"),
    [
        ("en_US", "0", "0"),
        ("es_US", "0", "0"),
        ("en_CA", "0", "0"),
        ("fr_CA", "1", "1"),
        ("en_GB", "1", "1"),
        ("fr_FR", "1", "1"),
        ("zh_CN", "1", "1"),
    ],
)
def test_clock(settings: Settings, locale: str, time_format: str, date_format: str) -> None:
    told = settings(locale=locale)
    assert (told["time format"], told["date format"]) == (time_format, date_format)


def test_without_a_locale_the_phone_keeps_its_clock(settings: Settings) -> None:
    assert not {"time format", "date format"} & set(settings(timezone="America/New_York"))


def test_time_server_is_turned_off_when_it_is_not_configured(settings: Settings) -> None:
    assert settings()["time server disabled"] == "1"
    assert settings(ntp_enabled=False, ntp_ip="192.0.2.1")["time server disabled"] == "1"
    told = settings(ntp_enabled=True, ntp_ip="192.0.2.1")
    assert (told["time server disabled"], told["time server1"]) == ("0", "192.0.2.1")


# Language, network, syslog


@pytest.mark.parametrize(
    ("locale", "pack", "input_language", "tone_set"),
    [
        ("de_DE", "lang_de.txt", "German", "Germany"),
        ("es_ES", "lang_es.txt", "Spanish", "Europe"),
        ("fr_FR", "lang_fr.txt", "French", "France"),
        ("fr_CA", "lang_fr_ca.txt", "French", "US"),
        ("fr_BE", "lang_fr.txt", "French", "Europe"),
        ("it_IT", "lang_it.txt", "Italian", "Italy"),
        ("nl_NL", "lang_nl_nl.txt", "Dutch", "Germany"),
    ],
)
def test_language_with_a_pack(
    settings: Settings, locale: str, pack: str, input_language: str, tone_set: str
) -> None:
    told = settings(locale=locale)
    assert (told["language"], told["language 1"], told["web language"]) == ("1", f"i18n/{pack}", "1")
    assert (told["input language"], told["tone set"]) == (input_language, tone_set)


def test_english_is_built_in(settings: Settings) -> None:
    told = settings(locale="en_GB")
    assert (told["language"], told["web language"], told["input language"]) == ("0", "0", "English")
    assert told["tone set"] == "United Kingdom"
    assert "language 1" not in told


def test_unknown_language_is_english(settings: Settings) -> None:
    told = settings(locale="zh_CN")
    assert (told["language"], told["web language"]) == ("0", "0")
    assert not {"language 1", "input language", "tone set"} & set(told)


def test_vlan(settings: Settings) -> None:
    told = settings(vlan_enabled=True, vlan_id=100, vlan_priority=5, vlan_pc_port_id=200)
    assert (told["tagging enabled"], told["vlan id"]) == ("1", "100")
    assert (told["priority non-ip"], told["vlan id port 1"]) == ("5", "200")


def test_pc_port_is_untagged_by_default(settings: Settings) -> None:
    told = settings(vlan_enabled=True, vlan_id=0)
    assert (told["vlan id"], told["vlan id port 1"]) == ("0", "4095")
    assert "priority non-ip" not in told


def test_vlan_is_turned_off_when_it_is_not_configured(settings: Settings) -> None:
    assert settings(vlan_id=100)["tagging enabled"] == "0"


@pytest.mark.parametrize(
    ("level", "told_level"), [("critical", "1"), ("error", "3"), ("warning", "7"), ("info", "39"), ("debug", "65535")]
)
def test_syslog_level_holds_for_all_modules(settings: Settings, level: str, told_level: str) -> None:
    told = settings(syslog_enabled=True, syslog_ip="192.0.2.1", syslog_level=level)
    assert (told["log server ip"], told["log server port"]) == ("192.0.2.1", "514")
    levels = {name: value for name, value in told.items() if name.startswith("log module")}
    assert len(levels) == 11
    assert set(levels.values()) == {told_level}


def test_dns(settings: Settings) -> None:
    assert settings(dns_enabled=True, dns_ip="192.0.2.53")["dns1"] == "192.0.2.53"
    assert "dns1" not in settings(dns_enabled=False, dns_ip="192.0.2.53")


# SIP


def test_line_without_backup_and_outbound_proxy(settings: Settings) -> None:
    told = settings(sip_lines={"1": LINE})
    for role in ("backup proxy ip", "backup registrar ip", "outbound proxy"):
        assert told[f"sip line1 {role}"] == "0.0.0.0"
    for role in ("proxy", "registrar", "backup proxy", "backup registrar", "outbound proxy"):
        assert told[f"sip line1 {role} port"] == "0"


def test_backup_servers_of_the_line_and_of_all_lines(settings: Settings) -> None:
    told = settings(
        sip_backup_proxy_ip="192.0.2.20",
        sip_backup_proxy_port=5070,
        sip_backup_registrar_ip="192.0.2.21",
        sip_lines={"1": LINE, "2": {**LINE, "backup_proxy_ip": "192.0.2.30", "backup_registrar_port": 5080}},
    )
    assert (told["sip line1 backup proxy ip"], told["sip line1 backup proxy port"]) == ("192.0.2.20", "5070")
    assert (told["sip line1 backup registrar ip"], told["sip line1 backup registrar port"]) == ("192.0.2.21", "0")
    assert (told["sip line2 backup proxy ip"], told["sip line2 backup proxy port"]) == ("192.0.2.30", "0")
    assert (told["sip line2 backup registrar ip"], told["sip line2 backup registrar port"]) == ("192.0.2.21", "5080")


def test_registrar_is_the_proxy_with_its_port_unless_told_otherwise(settings: Settings) -> None:
    told = settings(sip_lines={"1": {**LINE, "proxy_port": 5070}})
    assert (told["sip line1 registrar ip"], told["sip line1 registrar port"]) == ("192.0.2.10", "5070")


@pytest.mark.parametrize(
    ("mode", "out_of_band", "method"),
    [("RTP-in-band", "0", "0"), ("RTP-out-of-band", "1", "0"), ("SIP-INFO", "1", "1")],
)
def test_dtmf_of_all_lines(settings: Settings, mode: str, out_of_band: str, method: str) -> None:
    told = settings(sip_dtmf_mode=mode, sip_lines={"1": LINE})
    assert (told["sip out-of-band dtmf"], told["sip dtmf method"]) == (out_of_band, method)
    assert told["sip line1 dtmf method"] == method


def test_dtmf_and_srtp_of_one_line(settings: Settings) -> None:
    own = {**LINE, "dtmf_mode": "SIP-INFO", "srtp_mode": "required"}
    told = settings(sip_dtmf_mode="RTP-in-band", sip_srtp_mode="preferred", sip_lines={"1": LINE, "2": own})
    assert (told["sip line1 dtmf method"], told["sip line2 dtmf method"]) == ("0", "1")
    assert (told["sip srtp mode"], told["sip line1 srtp mode"], told["sip line2 srtp mode"]) == ("1", "1", "2")


def test_dtmf_is_left_to_the_phone_without_a_mode(settings: Settings) -> None:
    assert not [name for name in settings(sip_lines={"1": LINE}) if "dtmf" in name]


@pytest.mark.parametrize(("transport", "told_transport"), [("udp", "1"), ("tcp", "2"), ("tls", "4")])
def test_transport(settings: Settings, transport: str, told_transport: str) -> None:
    assert settings(sip_transport=transport)["sip transport protocol"] == told_transport


def test_tls_keeps_one_connection_to_the_proxy(settings: Settings) -> None:
    told = settings(sip_transport="tls", sip_lines={"1": {**LINE, "proxy_port": 5061}})
    assert told["sips persistent tls"] == "1"
    assert (told["sip line1 outbound proxy"], told["sip line1 outbound proxy port"]) == ("192.0.2.10", "5061")


def test_certificates_get_files_of_their_own(plugin: LoadedPlugin) -> None:
    raw = {
        "sip_servers_root_and_intermediate_certificates": [CERTIFICATE, OTHER_CERTIFICATE],
        "sip_local_root_and_intermediate_certificates": [OTHER_CERTIFICATE],
        "sip_local_certificate": CERTIFICATE,
        "sip_local_key": KEY,
    }
    made = files(plugin, "6731i", raw)
    unix_certificate = OTHER_CERTIFICATE.replace("\r\n", "\n")
    assert made.pop("Aastra/00085D2EECFB-ca_servers.crt") == f"{CERTIFICATE}\n{unix_certificate}"
    assert made.pop("Aastra/00085D2EECFB-ca_local.crt") == unix_certificate
    assert made.pop("Aastra/00085D2EECFB-local.crt") == f"{CERTIFICATE}\n"
    assert made.pop("Aastra/00085D2EECFB-local.key") == KEY
    told = dict(_settings_in(made[PHONE_FILE]))
    assert told["sips trusted certificates"] == "00085D2EECFB-ca_servers.crt"
    assert told["sips root and intermediate certificates"] == "00085D2EECFB-ca_local.crt"
    assert told["sips local certificate"] == "00085D2EECFB-local.crt"
    assert told["sips private key"] == "00085D2EECFB-local.key"


def test_an_empty_list_of_certificates_is_none(plugin: LoadedPlugin) -> None:
    assert list(files(plugin, "6731i", {"sip_servers_root_and_intermediate_certificates": []})) == [PHONE_FILE]


def test_message_waiting(settings: Settings) -> None:
    assert "sip explicit mwi subscription" not in settings()
    assert settings(sip_subscribe_mwi=False)["sip explicit mwi subscription"] == "0"
    told = settings(sip_subscribe_mwi=True)
    assert told["sip explicit mwi subscription"] == "1"
    assert told["sip explicit mwi subscription period"] == "3600"


def test_voicemail_of_the_line_goes_before_that_of_all(settings: Settings) -> None:
    told = settings(exten_voicemail="*98", sip_lines={"1": LINE, "2": {**LINE, "voicemail": "*99"}})
    assert (told["sip line1 vmail"], told["sip line2 vmail"]) == ("*98", "*99")


def test_directed_pickup(settings: Settings) -> None:
    told = settings(exten_pickup_call="*8")
    assert (told["directed call pickup"], told["directed call pickup prefix"]) == ("1", "*8")
    assert settings()["directed call pickup"] == "0"


# Function keys


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("1", "topsoftkey1"),
        ("10", "topsoftkey10"),
        ("11", "softkey1"),
        ("30", "softkey20"),
        ("31", "expmod1 key1"),
        ("90", "expmod1 key60"),
        ("91", "expmod2 key1"),
        ("210", "expmod3 key60"),
    ],
)
def test_where_a_key_lies_on_a_6757i(settings: Settings, number: str, name: str) -> None:
    told = settings("6757i", **keys({number: {"type": "blf", "value": "1002", "label": "Bob #b", "line": 2}}))
    assert told[f"{name} type"] == "blf"
    assert told[f"{name} value"] == "1002"
    assert told[f"{name} label"] == '"Bob #b"'
    assert told[f"{name} line"] == "2"


def test_keys_that_the_phone_does_not_have_are_left_out(settings: Settings) -> None:
    assert "1002" not in settings("6757i", **keys({"211": {"type": "blf", "value": "1002"}})).values()
    assert "1002" not in settings("6751i", **keys({"1": {"type": "blf", "value": "1002"}})).values()


def test_key_with_a_paper_label_takes_none(settings: Settings) -> None:
    told = settings("6755i", **keys({str(n): {"type": "speeddial", "value": "1002"} for n in (6, 7)}))
    assert "prgkey6 label" not in told
    assert told["softkey1 label"] == "1002"


def test_key_of_a_line_that_the_phone_does_not_have_uses_the_first(settings: Settings) -> None:
    assert settings(**keys({"1": {"type": "blf", "value": "1002", "line": 7}}))["prgkey1 line"] == "1"


@pytest.mark.parametrize("kind", ["dance", "", "BLF", "xml"])
def test_key_of_an_unknown_type_is_left_out(settings: Settings, kind: str) -> None:
    told = settings(**keys({"1": {"type": kind, "value": "1002"}}))
    assert not [name for name in told if name.startswith("prgkey")]


def test_park_key_sets_the_codes_of_all_lines(settings: Settings) -> None:
    told = settings(sip_lines={"1": LINE, "2": LINE}, funckeys={"3": {"type": "park", "value": "700"}})
    assert (told["prgkey3 type"], told["prgkey3 value"]) == ("park", "asterisk;700")
    assert told["sip line1 park pickup config"] == "700;700;asterisk"
    assert told["sip line2 park pickup config"] == "700;700;asterisk"


def test_park_keys_of_different_lines_have_different_codes(settings: Settings) -> None:
    told = settings(
        sip_lines={"1": LINE, "2": LINE},
        funckeys={"1": {"type": "park", "value": "700"}, "2": {"type": "park", "value": "750", "line": 2}},
    )
    assert told["sip line1 park pickup config"] == "700;700;asterisk"
    assert told["sip line2 park pickup config"] == "750;750;asterisk"


def test_park_key_without_a_value_uses_the_extension_of_the_pbx(settings: Settings) -> None:
    told = settings(exten_park="701", **keys({"1": {"type": "park"}}))
    assert told["prgkey1 value"] == "asterisk;701"
    assert told["sip line1 park pickup config"] == "701;701;asterisk"


def test_no_parking_without_an_extension(settings: Settings) -> None:
    told = settings(**keys({"1": {"type": "park"}}))
    assert not [name for name in told if "park" in name or name.startswith("prgkey")]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("6730i", "prgkey8"),
        ("6731i", "prgkey8"),
        ("6735i", "softkey1"),
        ("6737i", "softkey1"),
        ("6739i", "softkey1"),
        ("6753i", "prgkey6"),
        ("6755i", "softkey1"),
        ("6757i", "softkey1"),
        ("9143i", "prgkey7"),
        ("9480i", "softkey6"),
    ],
)
def test_key_for_the_directory(settings: Settings, model: str, name: str) -> None:
    told = settings(model, locale="fr_FR", **DIRECTORY)
    assert (told[f"{name} type"], told[f"{name} value"]) == ("xml", DIRECTORY_URL)
    assert told.get(f"{name} label") == (None if name.startswith("prgkey") else "Annuaire")


def test_directory_gives_way_to_keys_of_the_config(settings: Settings) -> None:
    key = {"type": "blf", "value": "1002"}
    assert settings("6731i", **DIRECTORY, **keys({"8": key, "6": key}))["prgkey7 type"] == "xml"
    assert settings("6757i", **DIRECTORY, **keys({"11": key}))["softkey2 type"] == "xml"
    assert settings("6739i", **DIRECTORY, **keys({"1": {"type": "unknown"}}))["softkey2 type"] == "xml"


def test_no_key_for_the_directory_if_all_are_used(settings: Settings) -> None:
    used = {str(number): {"type": "blf", "value": "1002"} for number in range(1, 9)}
    assert "xml" not in settings("6731i", **DIRECTORY, **keys(used)).values()


def test_no_key_for_the_directory_without_a_user(settings: Settings) -> None:
    assert "xml" not in settings("6731i", X_xivo_phonebook_ip="192.0.2.10").values()


# How values are written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Alice Martin", "Alice Martin"),
        ("*98", "*98"),
        ("700;700;asterisk", "700;700;asterisk"),
        ("http://192.0.2.10:9498/?a=b", "http://192.0.2.10:9498/?a=b"),
        ('Alice "Al" Martin', 'Alice "Al" Martin'),
        ("4#8", '"4#8"'),
        (" blanks ", '" blanks "'),
        ("é ü 你", "é ü 你"),
        ('"Al" Martin', ""),
        ('a"b#c', ""),
        ("", ""),
        (None, ""),
        (5060, "5060"),
    ],
)
def test_quoted(plugin: LoadedPlugin, value: Any, written: str) -> None:
    assert plugin.code.filters["quoted"](value) == written


# Custom templates


def customise(plugin: LoadedPlugin, name: str, text: str) -> None:
    (plugin.folder / "var/templates" / name).write_text(text, encoding="utf-8")


def test_custom_base_template_holds_for_all_models(custom: LoadedPlugin) -> None:
    shipped = (custom.folder / "templates/base.tpl").read_text(encoding="utf-8")
    customise(custom, "base.tpl", shipped.replace("contact rcs: 0", "contact rcs: 1"))
    for model in (*custom.info.models, "6867i"):
        assert "contact rcs: 1" in files(custom, model, {})[PHONE_FILE]


def test_custom_template_of_a_model_holds_for_that_model_only(custom: LoadedPlugin) -> None:
    shutil.copy(custom.folder / "templates/6739i.tpl", custom.folder / "var/templates")
    with (custom.folder / "var/templates/6739i.tpl").open("a", encoding="utf-8") as template:
        template.write("\n{% block local %}call waiting: 0{% endblock %}")
    assert dict(_settings_in(files(custom, "6739i", {})[PHONE_FILE]))["call waiting"] == "0"
    assert "call waiting" not in files(custom, "6731i", {})[PHONE_FILE]


def test_a_model_without_a_template_may_get_one(custom: LoadedPlugin) -> None:
    customise(custom, "6735i.tpl", '{% extends "base.tpl" %}{% block local %}call waiting: 0{% endblock %}')
    assert "\ncall waiting: 0\n" in files(custom, "6735i", {})[PHONE_FILE]


def test_custom_template_of_one_phone(custom: LoadedPlugin) -> None:
    text = '{% extends "6731i.tpl" %}{% block time %}{{ super() }}call waiting: {{ XX_mac | length }}{% endblock %}'
    customise(custom, "00085D2EECFB.cfg.tpl", text)
    told = dict(_settings_in(files(custom, "6731i", {})[PHONE_FILE]))
    assert (told["call waiting"], told["time server disabled"]) == ("12", "1")
    other = files(custom, "6731i", {}, mac="00:08:5d:2e:ec:fc")
    assert "call waiting" not in other["Aastra/00085D2EECFC.cfg"]


def test_snippet_of_the_readme_works_for_a_model_and_is_refused_for_all(custom: LoadedPlugin) -> None:
    readme = (custom.folder / "README").read_text(encoding="utf-8")
    _, begin, rest = readme.partition("    {% extends")
    snippet = textwrap.dedent(begin + rest.partition("  To change something for all models")[0])
    customise(custom, "6731i.tpl", snippet)
    assert dict(_settings_in(files(custom, "6731i", {})[PHONE_FILE]))["call waiting"] == "0"
    customise(custom, "base.tpl", snippet)
    with pytest.raises(TemplateError, match=r"^var/templates/base\.tpl, line 1: base\.tpl extends itself"):
        files(custom, "6731i", {})


def test_templates_that_can_never_be_used_are_logged(custom: LoadedPlugin, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("base.tpl", "6735i.tpl", "00085D00000B.cfg.tpl", "6757iCT.tpl", "00085d00000b.cfg.tpl", "6731I.tpl"):
        customise(custom, name, "")
    (custom.folder / "var/templates/Aastra").mkdir()
    customise(custom, "Aastra/6731i.tpl", "")
    load_plugin(custom.folder)
    named = [record.getMessage().partition("template=")[2] for record in caplog.records]
    assert sorted(named) == [
        "'00085d00000b.cfg.tpl' reason='letter case counts: the name that is looked for is 00085D00000B.cfg.tpl'",
        "'6731I.tpl' reason='letter case counts: the name that is looked for is 6731i.tpl'",
        "'6757iCT.tpl' reason='the model of such phones is 6757i, so the name that is looked for is 6757i.tpl'",
        "'Aastra/6731i.tpl' reason='templates of phones and models are looked for in var/templates itself, not in a "
        "folder below it'",
    ]


@pytest.mark.parametrize(
    "block",
    ["server", "network", "time", "language", "passwords", "syslog", "sip", "lines", "keys", "xml", "local"],
)
def test_each_section_can_be_overridden_by_itself(custom: LoadedPlugin, block: str) -> None:
    customise(custom, "6731i.tpl", f'{{% extends "base.tpl" %}}{{% block {block} %}}instead: 1{{% endblock %}}')
    before = dict(_settings_in(files(custom, "6757i", {"sip_lines": {"1": LINE}})[PHONE_FILE]))
    after = dict(_settings_in(files(custom, "6731i", {"sip_lines": {"1": LINE}})[PHONE_FILE]))
    assert after.pop("instead") == "1"
    assert set(after) <= set(before)
    kept = {"http server", "tagging enabled", "time server disabled", "language", "sip srtp mode"} & set(after)
    assert len(kept) >= 4


# Who asks

AGENT = "Aastra6731i MAC:00-08-5D-23-74-29 V:3.3.1.4365-SIP"


@pytest.mark.parametrize(
    ("agent", "model", "version"),
    [
        (AGENT, "6731i", "3.3.1.4365"),
        ("Aastra57i MAC:00-08-5D-23-74-29 V:2.0.1.1055-0035-00-A1", "6757i", "2.0.1.1055-0035-00-A1"),
        ("Aastra57iCT MAC:00-08-5D-23-74-29 V:2.6.0.1008-SIP", "6757i", "2.6.0.1008"),
        ("Aastra51i MAC:00-08-5D-23-74-29 V:2.6.0.1008-SIP", "6751i", "2.6.0.1008"),
        ("Aastra480i MAC:00-08-5D-23-74-29 V:1.4.3.1-SIP", "480i", "1.4.3.1"),
        ("Mitel6940 MAC:00-08-5D-23-74-29 V:6.4.0.4006-SIP", "6940", "6.4.0.4006"),
    ],
)
def test_user_agent_says_everything(plugin: LoadedPlugin, agent: str, model: str, version: str) -> None:
    request = HttpRequest("192.0.2.7", "any/path", headers={"user-agent": agent})
    assert plugin.code.identify_http(request) == Identity("Aastra", model, version, "00:08:5d:23:74:29")


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (X11; Linux x86_64)",
        "Mitel-5320-SIP-Phone 06.05.00.11 010203040506",
        "Aastra",
        "Aastra6731i",
        "Aastra6731i MAC: V:",
        AGENT.replace("-74-29", "-74-2"),
        AGENT.replace("29", "2G"),
        f"x{AGENT}",
        f"{AGENT} x",
        f"{AGENT}\n",
    ],
)
def test_another_user_agent_is_no_phone_whatever_it_asks_for(plugin: LoadedPlugin, agent: str) -> None:
    request = HttpRequest("192.0.2.7", PHONE_FILE, headers={"user-agent": agent})
    assert plugin.code.identify_http(request) is None


PATHS = [
    ("00085D48F5C7.cfg", Identity("Aastra", mac="00:08:5d:48:f5:c7")),
    ("Aastra/00085d48f5c7.cfg", Identity("Aastra", mac="00:08:5d:48:f5:c7")),
    ("a/b/08000F48F5C7.tuz", Identity("Aastra", mac="08:00:0f:48:f5:c7")),
    ("1400E948F5C7.lic", Identity("Aastra", mac="14:00:e9:48:f5:c7")),
    ("Aastra/00085D48F5C7-ca_servers.crt", Identity("Aastra", mac="00:08:5d:48:f5:c7")),
    ("6731i.cfg", Identity("Aastra", "6731i")),
    ("Aastra/57i.st", Identity("Aastra", "6757i")),
    ("57iCT.st", Identity("Aastra", "6757i")),
    ("9143i.st", Identity("Aastra", "9143i")),
    ("480iCT.cfg", Identity("Aastra", "480iCT")),
    ("6867i.cfg", Identity("Aastra", "6867i")),
    ("firmware/6869i.st", Identity("Aastra", "6869i")),
    ("6930w.cfg", Identity("Aastra", "6930w")),
    ("", None),
    ("aastra.cfg", None),
    ("Aastra/startup.cfg", None),
    ("security.tuz", None),
    ("startup.lic", None),
    ("001565123456.cfg", None),
    ("000000000000.cfg", None),
    ("y000000000028.cfg", None),
    ("00085D48F5C7", None),
    ("00085D48F5C.cfg", None),
    ("00085D48F5C7.cfg/", None),
    ("00085D48F5C7.cfg\n", None),
    ("x00085D48F5C7.cfg", None),
    ("SEP00085D48F5C7.cnf.xml", None),
    ("00085D48F5C7-directory.xml", None),
    ("6941.cfg", None),
    ("6961.cfg", None),
    ("6867.cfg", None),
    ("6867i", None),
    ("6867i.txt", None),
    ("lang_fr.txt", None),
    ("MN_00085D48F5C7.cfg", None),
]


@pytest.mark.parametrize(("path", "identity"), PATHS)
def test_path_says_which_phone_it_is_or_which_model(
    plugin: LoadedPlugin, path: str, identity: Identity | None
) -> None:
    assert plugin.code.identify_tftp(TftpRequest("192.0.2.7", path)) == identity
    assert plugin.code.identify_http(HttpRequest("192.0.2.7", path)) == identity


@pytest.mark.parametrize(
    ("vendor_class", "mac", "identity"),
    [
        (b"AastraIPPhone6731i", "00:00:5e:00:53:01", Identity("Aastra", "6731i")),
        (b"AastraIPPhone57i\0", "00:08:5d:00:53:01", Identity("Aastra", "6757i")),
        (b"MitelIPPhone6920", "14:00:e9:00:53:01", Identity("Aastra", "6920")),
        (b"MitelIPPhone", "14:00:e9:00:53:01", Identity("Aastra")),
        (None, "00:08:5d:00:53:01", Identity("Aastra")),
        (b"", "08:00:0f:00:53:01", Identity("Aastra")),
        (None, "00:00:5e:00:53:01", None),
        (b"ipphone.mitel.com", "08:00:0f:00:53:01", None),
        (b"udhcp 1.24.1", "08:00:0f:00:53:01", None),
        (b"AastraIPPhone\xff", "00:08:5d:00:53:01", None),
        (b"xAastraIPPhone6731i", "00:00:5e:00:53:01", None),
    ],
)
def test_lease_says_vendor_and_model(
    plugin: LoadedPlugin, vendor_class: bytes | None, mac: str, identity: Identity | None
) -> None:
    options = {} if vendor_class is None else {60: vendor_class}
    assert plugin.code.identify_dhcp(DhcpLease("192.0.2.7", mac, options)) == identity


@pytest.mark.parametrize(
    ("path", "sensitive"),
    [
        ("Aastra/00085D2EECFB.cfg", True),
        ("00085d2eecfb.cfg", True),
        ("a/b/c/FFFFFFFFFFFF.cfg", True),
        ("Aastra/00085D2EECFB.tuz", True),
        ("Aastra/00085D2EECFB-local.key", True),
        ("Aastra/00085D2EECFB-ca_servers.crt", False),
        ("Aastra/00085D2EECFB.lic", False),
        ("Aastra/00085D2EECFB.cfg/x", False),
        ("Aastra/00085D2EECFB.cfg\n", False),
        ("Aastra/6731i.cfg", False),
        ("Aastra/aastra.cfg", False),
        ("", False),
    ],
)
def test_sensitive_files(plugin: LoadedPlugin, path: str, sensitive: bool) -> None:
    assert plugin.code.is_sensitive(path) is sensitive


def test_phone_reads_its_files_again_on_check_sync(plugin: LoadedPlugin) -> None:
    for reboot in (True, False):
        assert plugin.code.resync({"mac": MAC}, prepare_raw_config(SERVER), reboot=reboot) == Notification("check-sync")

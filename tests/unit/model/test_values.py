"""The checks of single values: what each takes, what it gives, and what its message says."""

from __future__ import annotations

import time
import zoneinfo
from pathlib import Path
from typing import Any

import pytest

from provd.errors import InvalidValueError
from provd.model import values

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
ENCRYPTED_KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,0F\r\n\r\nbm90+/==\r\n"
    "-----END RSA PRIVATE KEY-----"
)


def refused(check: Any, value: Any) -> str:
    """The message with which a check refuses a value."""
    with pytest.raises(InvalidValueError) as caught:
        check("field", value)
    message = str(caught.value)
    assert message.startswith("field: ")
    return message


# --- texts, flags and numbers


@pytest.mark.parametrize(("value", "plain"), [("", ""), ("a b", "a b"), (1001, "1001"), (0, "0"), (-1, "-1")])
def test_a_number_is_a_text_of_its_digits(value: Any, plain: str) -> None:
    assert values.text("field", value) == plain


@pytest.mark.parametrize("value", [None, True, False, 1.5, [], {}])
def test_other_values_are_no_texts(value: Any) -> None:
    assert refused(values.text, value).endswith("; allowed: a text")


def test_a_text_has_one_line() -> None:
    assert refused(values.text, "a\nb").endswith("; allowed: a text without control characters")


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True"])
def test_what_means_true(value: Any) -> None:
    assert values.flag("field", value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "False"])
def test_what_means_false(value: Any) -> None:
    assert values.flag("field", value) is False


@pytest.mark.parametrize("value", ["", "yes", "TRUE", "on", 2, -1, None, [], [True], {}])
def test_other_values_are_no_flags(value: Any) -> None:
    assert refused(values.flag, value).endswith("; allowed: true or false")


@pytest.mark.parametrize(("value", "plain"), [(1, 1), (4094, 4094), ("1", 1), ("4094", 4094), ("007", 7)])
def test_a_number_within_its_range(value: Any, plain: int) -> None:
    assert values.number(1, 4094)("field", value) == plain


@pytest.mark.parametrize(
    "value",
    [0, 4095, -1, "0", "4095", "-5", "+5", " 5", "5\n", "5.0", "", "0x10", "٥", "9" * 5000, 5.0, True, None, []],
)
def test_other_values_are_no_numbers(value: Any) -> None:
    assert refused(values.number(1, 4094), value).endswith("; allowed: a whole number from 1 to 4094")


def test_a_choice_is_one_of_the_texts_to_the_letter() -> None:
    check = values.choice("udp", "tcp")
    assert check("field", "tcp") == "tcp"
    for value in ("TCP", "tls", "", None, 1, ["udp"]):
        assert refused(check, value).endswith("; allowed: one of udp, tcp")


# --- hosts and URLs


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.10",
        "2001:db8::10",
        "::1",
        "::",
        "::ffff:192.0.2.7",
        "fe80::1%eth0",
        "pbx",
        "pbx.example.org",
        "pbx.example.org.",
        "PBX-1.example.org",
        "_sip.example.org",
        "1and1.example",
        "xn--bcher-kva.example",
    ],
)
def test_an_address_or_a_name_is_a_host(value: str) -> None:
    assert values.host("field", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "pbx example",
        "pbx\n",
        "-pbx",
        "pbx-",
        ".pbx",
        "pbx/x",
        "user@pbx",
        "http://pbx",
        "[::1]",
        '"',
        "<pbx>",
        "pbx;x",
        "bücher",
        "a" * 254,
        None,
        10,
        [],
        {},
    ],
)
def test_other_values_are_no_hosts(value: Any) -> None:
    assert refused(values.host, value).endswith("; allowed: an IPv4 or IPv6 address or a host name")


@pytest.mark.parametrize("value", ["300.1.1.1", "192.0.2", "192.0.2.10.", "192.0.2.010", "1.2.3.4.5", "10", "1" * 200])
def test_digits_and_dots_are_an_ipv4_address_or_no_host(value: str) -> None:
    assert refused(values.host, value)


@pytest.mark.parametrize("value", ["192.0.2.10:5060", "pbx:5060", ":", ":::", "f:" * 500, "2001:db8::7::1"])
def test_what_has_colons_is_an_ipv6_address_or_no_host(value: str) -> None:
    assert refused(values.host, value)


def test_a_long_text_is_refused_at_once() -> None:
    started = time.process_time()
    refused(values.host, ":" * 10_000 + "x")
    assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    "value",
    [
        "http://192.0.2.10:8667",
        "https://pbx.example.org/provd/",
        "HTTP://pbx",
        "http://[2001:db8::10]:8667/key",
        "http://pbx/?a=b",
    ],
)
def test_an_http_url(value: str) -> None:
    assert values.url("field", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "pbx",
        "//pbx",
        "/path",
        "ftp://pbx",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://:8667",
        "http://pbx:0",
        "http://pbx:65536",
        "http://pbx:port",
        "http://[::1",
        "http://a b",
        "http://pbx/\n",
        "http://pbx/\u2028",
        None,
        1,
        [],
    ],
)
def test_other_values_are_no_http_urls(value: Any) -> None:
    refused(values.url, value)


# --- languages and time zones


@pytest.mark.parametrize("value", ["fr_CA", "en_US", "fil_PH"])
def test_a_language_with_its_country(value: str) -> None:
    assert values.locale("field", value) == value


@pytest.mark.parametrize("value", ["", "fr", "fr_ca", "FR_CA", "fr-CA", "fr_CA.UTF-8", "fr_CA\n", "fr_", None, 1])
def test_other_values_are_no_locales(value: Any) -> None:
    assert refused(values.locale, value).endswith("; allowed: a language and a country, such as fr_CA")


@pytest.mark.parametrize("value", ["Europe/Paris", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT-14"])
def test_a_zone_of_the_database(value: str) -> None:
    assert values.timezone("field", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Europe",
        "Europe/Atlantis",
        "europe/paris ",
        "Europe/Paris\n",
        "Europe//Paris",
        "../zoneinfo/UTC",
        "/usr/share/zoneinfo/UTC",
        "Europe/../UTC",
        "zone.tab",
        "tzdata.zi",
        "UTC\0",
        "é",
        "\ud800",
        "a" * 5000,
        None,
        1,
        1.5,
        True,
        [],
        {},
    ],
    ids=lambda value: ascii(value)[:24],
)
def test_other_values_are_no_zones(value: Any) -> None:
    assert "such as Europe/Paris" in refused(values.timezone, value)


def test_every_zone_of_the_database_is_known() -> None:
    for name in zoneinfo.available_timezones():
        assert values.timezone("field", name) == name


def test_a_file_of_the_machine_is_no_zone(tmp_path: Path) -> None:
    real = Path(zoneinfo.TZPATH[0], "UTC") if zoneinfo.TZPATH else tmp_path
    refused(values.timezone, str(real))


# --- certificates


@pytest.mark.parametrize("value", [CERTIFICATE, CERTIFICATE * 2, ENCRYPTED_KEY, f"\n{CERTIFICATE}\n"])
def test_pem_text_is_kept_as_it_is(value: str) -> None:
    assert values.pem("field", value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bm90IGEgY2VydGlmaWNhdGU=",
        "-----BEGIN CERTIFICATE-----",
        CERTIFICATE.replace("-----END CERTIFICATE-----", ""),
        CERTIFICATE.replace("=", "<"),
        CERTIFICATE.replace("=", "é"),
        CERTIFICATE.replace("=", '"'),
        CERTIFICATE.replace("=", "\0"),
        CERTIFICATE.replace("\n", "\u2028"),
        f"x{CERTIFICATE}",
        f"{CERTIFICATE}x",
        None,
        1,
        [CERTIFICATE],
    ],
)
def test_other_values_are_no_pem_text(value: Any) -> None:
    refused(values.pem, value)


def test_a_message_does_not_show_what_may_be_a_private_key() -> None:
    assert "hunter2" not in refused(values.pem, "-----BEGIN PRIVATE KEY-----\nhunter2<\n-----END PRIVATE KEY-----")


def test_one_certificate_is_a_list_of_one() -> None:
    assert values.certificates("field", CERTIFICATE) == [CERTIFICATE]
    assert values.certificates("field", [CERTIFICATE, CERTIFICATE]) == [CERTIFICATE] * 2
    assert values.certificates("field", []) == []


@pytest.mark.parametrize("value", [None, 1, {}, {"0": CERTIFICATE}])
def test_other_values_are_no_list_of_certificates(value: Any) -> None:
    assert refused(values.certificates, value).endswith("; allowed: a list of PEM certificates, the root first")


def test_the_message_says_which_certificate_is_wrong() -> None:
    with pytest.raises(InvalidValueError, match=r"^field\.1: "):
        values.certificates("field", [CERTIFICATE, "x"])

"""MAC addresses: every form that DHCP servers, phones and people write, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.model.mac import InvalidMacError, format_mac, is_normalized_mac, normalize_mac

MAC = "00:08:5d:2e:ec:fb"


@pytest.mark.parametrize(
    "text",
    [
        "00:08:5d:2e:ec:fb",
        "00:08:5D:2E:EC:FB",
        "00-08-5D-2E-EC-FB",
        "00085D2EECFB",
        "00085d2eecfb",
        "0008.5d2e.ecfb",
        "0:8:5d:2e:ec:fb",
        "0-8-5D-2E-EC-FB",
    ],
)
def test_every_usual_form_gives_the_stored_form(text: str) -> None:
    assert normalize_mac(text) == MAC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00:08:5d:2e:ec",
        "00:08:5d:2e:ec:fb:01",
        "00:08:5d:2e:ec:fg",
        "00:08:5d:2e:ec:fb\n",
        " 00:08:5d:2e:ec:fb",
        "00:08-5d:2e-ec:fb",
        "000:8:5d:2e:ec:fb",
        ":08:5d:2e:ec:fb",
        "0:8:5d:2e:ec:",
        "00::5d:2e:ec:fb",
        "085d2eecfb",
        "0085d2eecfb",
        "000085d2eecfb",
        "00.08.5d.2e.ec.fb",
        "0008:5d2e:ecfb",
        "8.5d2e.ecfb",
        "٠٠:08:5d:2e:ec:fb",
        "00:08:5d:2e:ec:fb00:08:5d:2e:ec:fb",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidMacError, match=r"^mac: .* is not allowed; allowed: six hexadecimal bytes"):
        normalize_mac(text)


def test_the_message_shows_the_value() -> None:
    with pytest.raises(InvalidMacError, match=r"^mac: '0:8' is not allowed"):
        normalize_mac("0:8")


@settings(deadline=None, derandomize=True)
@given(st.binary(min_size=6, max_size=6), st.sampled_from([":", "-"]), st.booleans(), st.booleans())
def test_the_stored_form_does_not_depend_on_how_it_was_written(
    address: bytes, separator: str, upper: bool, padded: bool
) -> None:
    stored = ":".join(f"{byte:02x}" for byte in address)
    written = separator.join(f"{byte:02x}" if padded else f"{byte:x}" for byte in address)
    assert normalize_mac(written.upper() if upper else written) == stored
    assert normalize_mac(stored) == stored
    assert is_normalized_mac(stored)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(alphabet="0123456789abcdefABCDEFxg:-. \n", max_size=20))
def test_every_text_is_either_refused_or_gets_the_stored_form(text: str) -> None:
    try:
        stored = normalize_mac(text)
    except InvalidMacError:
        return
    assert re.fullmatch("[0-9a-f]{2}(:[0-9a-f]{2}){5}", stored)


@pytest.mark.parametrize(
    ("separator", "upper", "written"),
    [
        (":", False, "00:08:5d:2e:ec:fb"),
        ("", True, "00085D2EECFB"),
        ("", False, "00085d2eecfb"),
        ("-", True, "00-08-5D-2E-EC-FB"),
    ],
)
def test_a_vendors_form(separator: str, upper: bool, written: str) -> None:
    assert format_mac(MAC, separator, upper=upper) == written


def test_a_vendors_form_is_the_stored_one_unless_it_is_said() -> None:
    assert format_mac(MAC) == MAC


@pytest.mark.parametrize("value", [None, 1, b"00:08:5d:2e:ec:fb", MAC.upper(), "0:8:5d:2e:ec:fb", MAC + "\n", ""])
def test_what_is_not_in_stored_form(value: object) -> None:
    assert not is_normalized_mac(value)

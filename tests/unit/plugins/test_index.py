"""The index: what it says of plugins, in which language, and finding one in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provd.errors import RepositoryError
from provd.plugins.index import Standing, description_for, parse_index, search, standing
from provd.plugins.requirements import REPORTS_SENSITIVE_FILES_SINCE, needed_to_report_sensitive_files

GOOD = {"filename": "good-1.0.tar.bz2", "version": "1.0", "sha1sum": "0" * 40}


def parsed(**more: Any) -> Any:
    return parse_index(json.dumps({"good": {**GOOD, **more}}).encode())


def test_an_entry_says_what_the_plugin_is() -> None:
    entry = parsed(description="Phones", description_fr="Postes", dsize=7, capabilities={"V, M, 1": {}}).entries["good"]
    assert (entry.description, entry.descriptions, entry.size) == ("Phones", {"fr": "Postes"}, 7)
    assert entry.capabilities == {"V, M, 1": {}}


def test_an_entry_of_the_existing_provd_is_enough() -> None:
    entry = parsed().entries["good"]
    assert (entry.description, entry.size, entry.capabilities, entry.sha256sum) == ("", None, {}, None)


@pytest.mark.parametrize(
    ("key", "value"), [("description", None), ("description", 1), ("dsize", "7"), ("dsize", True), ("capabilities", [])]
)
def test_what_is_of_the_wrong_type_hides_only_its_entry_with_the_reason(key: str, value: object) -> None:
    index = parse_index(json.dumps({"bad": {**GOOD, key: value}, "good": GOOD}).encode())
    assert list(index.entries) == ["good"]
    assert index.rejected == {"bad": f"bad: {key}: of the wrong type"}


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(RepositoryError):
        parse_index(content)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        (None, "Phones"),
        ("", "Phones"),
        ("de", "Phones"),
        ("fr", "Postes"),
        ("fr_FR", "Postes"),
        ("fr_CA", "Téléphones"),
        ("fr_CA_x", "Postes"),
    ],
)
def test_a_description_is_in_the_language_that_fits_best(locale: str | None, text: str) -> None:
    assert description_for("Phones", {"fr": "Postes", "fr_CA": "Téléphones"}, locale) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("GOOD", True),
        ("phone", True),
        ("postes", True),
        ("6731I", True),
        ("aastra 6731i", True),
        ("6731i  Téléph", True),
        ("aastra 9999", False),
        ("goodphone", False),
        ("lines", False),
    ],
)
def test_search_looks_at_id_description_and_capabilities(text: str, found: bool) -> None:
    entries = parsed(
        description="Phones", description_fr="Postes", description_fr_CA="TÉLÉPHONES",
        capabilities={"Aastra, 6731i, 3.3.1": {"lines": 6}},
    ).entries  # fmt: skip
    assert bool(search(entries, text)) == found


@pytest.mark.parametrize(
    ("installed", "offered", "expected"),
    [
        ("1.0", "1.0", Standing.SAME),
        ("1.9", "1.10", Standing.NEWER),
        ("1.10", "1.9", Standing.OLDER),
        ("1.0", "1.0.1", Standing.NEWER),
        ("2.0", "1.9.9", Standing.OLDER),
        ("3.3.1-SP2", "3.3.1-SP10", Standing.NEWER),
        ("", "1", Standing.NEWER),
    ],
)
def test_versions_are_compared_by_their_numbers(installed: str, offered: str, expected: Standing) -> None:
    assert standing(installed, offered) == expected


@pytest.mark.parametrize(
    ("plugin_id", "version", "needed"),
    [
        ("xivo-aastra-3.3.1-SP2", "1.5", "1.6"),
        ("xivo-aastra-3.3.1-SP2", "1.6", None),
        ("xivo-aastra-3.3.1-SP2", "1.10", None),
        ("xivo-aastra", "0.9", "1.6"),
        ("xivo-aastrax-1", "0.9", None),
        ("xivo-cisco-sccp-9.0.3", "1.0", "1.1"),
        ("xivo-cisco-spa-7.5.5", "1.0", None),
        ("xivo-cisco-spa-7.5.5", "0.9", "1.0"),
        ("xivo-digium-1.4", "0.3", "1.0"),
        ("xivo-polycom-4.0.4", "1.6.9", "1.7"),
        ("xivo-snom-8.7.5.35", "1.5", "1.6"),
        ("xivo-yealink-v80", "1.3", "1.26"),
        ("xivo-yealink-v80", "1.26", None),
        ("wazo-yealink-v80", "0.1", None),
        ("own", "0.1", None),
    ],
)
def test_plugins_that_are_too_old_to_report_sensitive_files_are_known(
    plugin_id: str, version: str, needed: str | None
) -> None:
    assert needed_to_report_sensitive_files(plugin_id, version) == needed


def test_no_family_hides_another_one() -> None:
    families = list(REPORTS_SENSITIVE_FILES_SINCE)
    assert not [(one, other) for one in families for other in families if other.startswith(f"{one}-")]

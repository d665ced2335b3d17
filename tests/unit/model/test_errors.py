"""What each error means to whoever asked: a status, an exit code, a message."""

from __future__ import annotations

import pytest

from provd import errors
from provd.errors import InvalidValueError, MissingValueError, ProvdError


@pytest.mark.parametrize(
    ("error", "http_status", "exit_code"),
    [
        (errors.ProvdError, 500, 1),
        (errors.InvalidValueError, 400, 1),
        (errors.MissingValueError, 400, 1),
        (errors.AlreadyExistsError, 400, 1),
        (errors.NotDeletableError, 403, 1),
        (errors.NotFoundError, 404, 1),
        (errors.ConflictError, 409, 1),
        (errors.RepositoryError, 502, 1),
        (errors.StoreError, 503, 1),
        (errors.PluginError, 500, 1),
        (errors.SettingsError, 500, 2),
    ],
)
def test_an_error_has_a_status_and_an_exit_code(error: type[ProvdError], http_status: int, exit_code: int) -> None:
    assert (error.http_status, error.exit_code) == (http_status, exit_code)
    assert issubclass(error, ProvdError)


def test_a_message_names_the_field_the_value_and_what_is_allowed() -> None:
    error = InvalidValueError("sip_lines.1.proxy_port", 70_000, "a whole number from 0 to 65535")
    assert str(error) == "sip_lines.1.proxy_port: 70000 is not allowed; allowed: a whole number from 0 to 65535"
    assert (error.field, error.value, error.allowed) == (
        "sip_lines.1.proxy_port",
        70_000,
        "a whole number from 0 to 65535",
    )


def test_a_message_about_a_missing_value_says_what_it_is_for() -> None:
    assert str(MissingValueError("ntp_ip", "because ntp_enabled is true")) == (
        "ntp_ip: missing; needed: because ntp_enabled is true"
    )


def test_a_long_value_is_cut() -> None:
    assert str(InvalidValueError("a", "x" * 78, "b")) == f"a: '{'x' * 78}' is not allowed; allowed: b"
    assert str(InvalidValueError("a", "x" * 79, "b")) == f"a: '{'x' * 76}... is not allowed; allowed: b"

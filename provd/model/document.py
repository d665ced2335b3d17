"""Rules that all stored documents share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from provd.errors import InvalidValueError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_ID_LENGTH = 200
_MAX_DEPTH = 32
_MAX_NUMBER_BITS = 1024


def without_control_characters(field: str, value: object, *, lines: bool = False) -> str:
    """Return `value` if it is a text that cannot break out of its line in a file or a log.

    Line separators of Unicode and lone surrogates count as control characters: some phones break lines at the
    former, and the latter cannot be encoded. `lines` allows line feeds and carriage returns, for certificates.

    Raises:
        InvalidValueError: `value` is no text, or has such a character.
    """
    if not isinstance(value, str):
        raise InvalidValueError(field, value, "a text")
    if (_CONTROL_IN_LINES if lines else _CONTROL).search(value):
        raise InvalidValueError(field, value, "a text without control characters")
    return value


def check_id(value: Any) -> str:
    """Return `value` if it can be the id of a device or config: an opaque key, never part of a path.

    Raises:
        InvalidValueError: it cannot.
    """
    text = without_control_characters("id", value)
    if not 0 < len(text) <= _MAX_ID_LENGTH:
        raise InvalidValueError("id", value, f"a text of 1 to {_MAX_ID_LENGTH} characters")
    return text


def check_document(field: str, value: object, depth: int = 0) -> None:
    """Make sure that `value` can be stored as JSON and read back as it is.

    Raises:
        InvalidValueError: it is nested too deep, or holds something that JSON has no form for.
    """
    if depth > _MAX_DEPTH:
        raise InvalidValueError(field, "…", f"at most {_MAX_DEPTH} levels of nesting")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidValueError(field, key, "keys that are texts")
            _check_text(field, key)
            check_document(f"{field}.{key}", item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_document(field, item, depth + 1)
    elif isinstance(value, str):
        _check_text(field, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValueError(field, value, "a finite number")
    elif isinstance(value, int) and value.bit_length() > _MAX_NUMBER_BITS:
        raise InvalidValueError(field, "…", f"a number of at most {_MAX_NUMBER_BITS} bits")
    elif not isinstance(value, bool | int | None):
        raise InvalidValueError(field, value, "a JSON value")


def _check_text(field: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValueError(field, text, "a text that UTF-8 can encode") from None

"""How large a value a template may make.

Looked at before the value is made: while one operation of Python's fills the memory, no signal ends it. What grows
bit by bit is ended by `provd.plugins.limits`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2.environment import Environment
from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter
from markupsafe import Markup

MAX_LENGTH = 1024 * 1024
"""Characters of a text, bytes of a byte string, elements of a list."""

MAX_INTEGER_BITS = 64 * 1024
"""Of a product or power."""

_PRINTF = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(\*|\d*)(?:\.(\*|\d*))?")
_PADDING = ("center", "expandtabs", "ljust", "rjust", "to_bytes", "zfill")


def check_length(length: int) -> None:
    """Make sure that a value of this length may be made.

    Raises:
        OverflowError: it would be too long.
    """
    if length > MAX_LENGTH:
        raise OverflowError(f"a value of more than {MAX_LENGTH} characters or elements")


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Make sure that `left operator right` is not too large.

    Raises:
        OverflowError: it would be.
    """
    if isinstance(left, int) and isinstance(right, int):
        check_integers(operator, left, right)
    elif operator == "*":
        check_length(max(_length(left) * _count(right), _length(right) * _count(left)))
    elif operator == "+":
        check_length(_length(left) + _length(right))
    elif operator == "%" and isinstance(left, str | bytes):
        check_length(printf_length(left, right))


def check_texts(pieces: Iterable[Any]) -> None:
    """Make sure that these texts may be joined; what is no text yet counts nothing.

    Raises:
        OverflowError: they would be too long.
    """
    check_length(sum(map(_length, pieces)))


def join(pieces: Iterable[str]) -> str:
    """`"".join(pieces)`, with the limit."""
    listed = list(pieces)
    check_texts(listed)
    return "".join(listed)


def check_integers(operator: str, left: int, right: int) -> None:
    """Make sure that a product or power is not too large.

    Raises:
        OverflowError: it would be.
    """
    bits = {"*": left.bit_length() + right.bit_length(), "**": left.bit_length() * abs(right)}
    if bits.get(operator, 0) > MAX_INTEGER_BITS:
        raise OverflowError(f"a number of more than {MAX_INTEGER_BITS} bits")


def check_replaced(text: Any, old: Any, new: Any) -> None:
    """Make sure that `text.replace(old, new)` is not too long.

    Raises:
        OverflowError: it would be.
    """
    check_length(len(text) + text.count(old) * len(new))


def joined_length(separator: Any, items: list[Any]) -> int:
    """How long `separator.join(items)` is."""
    return len(separator) * len(items) + sum(map(_length, items))


def printf_length(form: str | bytes, values: Any) -> int:
    """At least as long as `form % values`, but for what Python writes for other things than texts and numbers."""
    arguments = values if isinstance(values, tuple) else values.values() if isinstance(values, Mapping) else (values,)
    longest, widest = _longest(arguments), max(map(_count, arguments), default=0)
    length = len(form)
    for conversion in _PRINTF.finditer(form if isinstance(form, str) else form.decode("latin-1")):
        length += longest
        for number in filter(None, conversion.groups()):
            length += widest if number == "*" else int(number)
    return length


def bounded_arguments(value: Any, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The positional arguments to call a text's or number's method with, if its result is not too large.

    Raises:
        OverflowError: it would be.
    """
    if method in _PADDING:
        for number in filter(_is_integer, (*args, *kwargs.values())):
            check_length(number * _tabs(value) if method == "expandtabs" else number)
    elif method == "replace" and len(args) > 1:
        check_replaced(value, *args[:2])
    elif method == "translate" and args:
        table = args[0].values() if isinstance(args[0], Mapping) else args[0]
        check_length(len(value) * _longest(table))
    elif method == "join" and len(args) == 1:
        args = (list(args[0]),)  # (what can be read once only would be empty after the sum)
        check_length(joined_length(value, args[0]))
    return args


def format_text(
    environment: Environment, text: str, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """`text.format(…)` or `text.format_map(…)` in the sandbox, with the limit."""
    if method == "format_map":
        if kwargs or len(args) != 1:
            raise TypeError("format_map() takes exactly one argument")
        kwargs, args = args[0], ()
    if isinstance(text, Markup):
        return type(text)(_EscapeFormatter(environment, escape=text.escape).vformat(text, args, kwargs))
    return _Formatter(environment).vformat(text, args, kwargs)


class _BoundedFields:
    """Counts what the fields of one text are formatted to."""

    _length = 0

    def format_field(self, value: Any, format_spec: str) -> str:
        for number in re.findall(r"\d+", format_spec):
            check_length(int(number))
        field: str = super().format_field(value, format_spec)  # type: ignore[misc]
        self._length += len(field)
        check_length(self._length)
        return field


class _Formatter(_BoundedFields, SandboxedFormatter):
    pass


class _EscapeFormatter(_BoundedFields, SandboxedEscapeFormatter):
    pass


def _tabs(text: str | bytes) -> int:
    return text.count("\t") if isinstance(text, str) else text.count(b"\t")


def _longest(values: Iterable[Any]) -> int:
    return max(map(_text_length, values), default=0)


def _text_length(value: Any) -> int:
    """About how long a text or number is when it is written."""
    return value.bit_length() if isinstance(value, int) else _length(value)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes | list | tuple) else 0


def _count(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _is_integer(value: Any) -> bool:
    return isinstance(value, int)

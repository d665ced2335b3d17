"""The filters of Jinja2 that can make far more than they are given, with bounds; the parameters are named as there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import filters
from jinja2.environment import Environment
from jinja2.nodes import EvalContext
from jinja2.utils import pass_environment, pass_eval_context

from provd.plugins.bounds import check_integers, check_length, check_replaced, joined_length, printf_length

MAX_JSON_INDENT = 32


def center(value: str, width: int = 80) -> str:
    """`value` in the middle of `width` columns."""
    check_length(width)
    return filters.do_center(value, width)


def indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    """`s` with its lines after the first indented."""
    added = len(width) if isinstance(width, str) else width
    check_length(len(s) + added * (1 + s.count("\n")))
    return filters.do_indent(s, width, first, blank)


def format_(value: str, *args: Any, **kwargs: Any) -> str:
    """`value % args`."""
    check_length(printf_length(str(value), kwargs or args))
    return filters.do_format(value, *args, **kwargs)


@pass_eval_context
def replace(eval_ctx: EvalContext, s: str, old: str, new: str, count: int | None = None) -> str:
    """`s` with `new` for each `old`."""
    check_replaced(str(s), str(old), str(new))
    return filters.do_replace(eval_ctx, s, old, new, count)


@pass_eval_context
def join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    """The items of `value`, or an attribute of each, with `d` between them."""
    items = list(value)
    if attribute is not None:
        items = list(map(filters.make_attrgetter(eval_ctx.environment, attribute), items))
    check_length(joined_length(str(d), items))
    return filters.sync_do_join(eval_ctx, items, d)


@pass_environment
def wordwrap(
    environment: Environment, s: str, width: int = 79, break_long_words: bool = True,
    wrapstring: str | None = None, break_on_hyphens: bool = True,
) -> str:  # fmt: skip
    """`s` with lines of at most `width` characters."""
    check_length(len(s) * len(wrapstring or "\n"))
    return filters.do_wordwrap(environment, s, width, break_long_words, wrapstring, break_on_hyphens)


def batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Iterable[list[Any]]:
    """The items of `value` in lists of `linecount`; the last is filled up."""
    check_length(linecount)
    return filters.do_batch(value, linecount, fill_with)


def round_(value: float, precision: int = 0, method: Any = "common") -> float:
    """`value` with `precision` digits behind the point."""
    check_integers("**", 10, precision)
    return filters.do_round(value, precision, method)


@pass_eval_context
def tojson(eval_ctx: EvalContext, value: Any, indent: int | None = None) -> str:
    """`value` as JSON that may stand in HTML."""
    if indent is not None and indent > MAX_JSON_INDENT:
        raise OverflowError(f"an indent of more than {MAX_JSON_INDENT}")
    return filters.do_tojson(eval_ctx, value, indent)


BOUNDED_FILTERS: Mapping[str, Callable[..., Any]] = {
    "batch": batch,
    "center": center,
    "format": format_,
    "indent": indent,
    "join": join,
    "replace": replace,
    "round": round_,
    "tojson": tojson,
    "wordwrap": wordwrap,
}

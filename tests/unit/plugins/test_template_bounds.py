"""What a template may take: length of values, length of its text, time and memory.

The limits are made small, so that a template that passes them does no harm.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from provd.errors import TemplateError
from provd.plugins import bounds, sandbox
from provd.plugins import templates as templates_module
from provd.plugins.templates import TemplateSet

from .sample import write

RUNAWAY = Path(__file__).with_name("runaway.py")
CONTEXT = {"a": "a", "five": 5, "long": "a" * 600, "tabs": "\t" * 100, "lines": "a\n" * 100, "holder": {"x": "a" * 600}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin's folder, with a template to import."""
    write(tmp_path / "templates/long.tpl", "{{ long }}{{ long }}")
    return tmp_path


def render(folder: Path, source: str, **options: Any) -> str:
    """What a custom base template gives."""
    write(folder / "var/templates/base.tpl", source)
    return TemplateSet(folder, **options).render(["base.tpl"], {**CONTEXT, "long": "a" * 600})


def error_of(folder: Path, source: str, **options: Any) -> str:
    with pytest.raises(TemplateError) as caught:
        render(folder, source, **options)
    return str(caught.value)


# --- values

DOUBLING = "{% set n = namespace(x='a') %}{% for i in range(12) %}{% set n.x = TWICE %}{% endfor %}{{ n.x | length }}"
TOO_LONG = [
    *("{{ 'a' * 1001 }}", "{{ 1001 * 'a' }}", "{{ [1] * 1001 }}", "{{ ('a',) * 1001 }}", "{{ long + long }}"),
    *("{{ [1] * 600 + [1] * 600 }}", "{{ long ~ long }}", "{{ long ~ 1 ~ long }}"),
    *("{{ '%1001d' % 1 }}", "{{ '%-1001s' % a }}", "{{ '%.1001f' % 1.5 }}", "{{ '%*d' % (1001, five) }}"),
    *("{{ '%600d%600d' % (1, 2) }}", "{{ '%s%s' % (long, long) }}", "{{ '%(x)s%(x)s' % holder }}"),
    *("{{ 'a'.ljust(1001) }}", "{{ a.ljust(1001) }}", "{{ a.rjust(1001) }}", "{{ a.center(1001) }}"),
    *("{{ a.zfill(1001) }}", "{{ a['ljust'](1001) }}", "{{ a.encode().ljust(1001) }}"),
    *("{{ tabs.expandtabs(11) }}", "{{ tabs.expandtabs(tabsize=11) }}", "{{ tabs.encode().expandtabs(11) }}"),
    *("{{ five.to_bytes(1001, 'big') }}", "{{ 9 ** 999999 }}", "{{ 1.5 | round(999999, 'ceil') }}"),
    *("{{ '{:>1001}'.format(1) }}", "{{ '{:>{w}}'.format(five, w=1001) }}", "{{ '{:.1001f}'.format(1.5) }}"),
    *("{{ '{0}{0}'.format(long) }}", "{{ '{0[x]}{0[x]}'.format(holder) }}", "{{ ('{:1001}' | attr('format'))(1) }}"),
    *("{{ '{a:1001}'.format_map({'a': 1}) }}", "{{ '{x}{x}'.format_map(holder) }}"),
    *("{{ long.replace('a', 'bb') }}", "{{ a.replace('', long) }}", "{{ lines.translate({97: 'b' * 20}) }}"),
    *("{{ ('b' * 20).join(lines) }}", "{{ ('b' * 20).join(range(60) | map('string')) }}"),
    *("{{ 'a' | center(1001) }}", "{{ a | center(1001) }}", "{{ ['a'] | map('center', 1001) | list }}"),
    *("{{ lines | indent(11) }}", "{{ lines | indent('b' * 11) }}", "{{ '%1001d' | format(1) }}"),
    *("{{ '%(x)s%(x)s' | format(**holder) }}", "{{ long | replace('a', 'bb') }}", "{{ range(60) | join('b' * 20) }}"),
    *("{{ [holder, holder] | join('', 'x') }}", "{{ lines | wordwrap(1, wrapstring='b' * 6) }}"),
    *("{{ [1] | batch(1001, 'x') | list }}", "{{ [1] | tojson(1001) }}"),
    DOUBLING.replace("'a'", "9**20000").replace("TWICE", "n.x * n.x"),
    DOUBLING.replace("TWICE", "n.x + n.x"),
    DOUBLING.replace("TWICE", "n.x ~ n.x"),
    "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}" + DOUBLING.replace("TWICE", "m(n.x)"),
    "{% set twice %}{{ long }}{{ long }}{% endset %}",
    "{% filter replace('a', 'bb') %}{{ long }}{% endfilter %}",
    "{% block b %}{{ long }}{{ long }}{% endblock %}{{ self.b() | length }}",
    "{% import 'long.tpl' as m with context %}{{ m | string | length }}",
]


@pytest.mark.parametrize("source", TOO_LONG)
@pytest.mark.parametrize("escape_xml", [False, True], ids=["plain", "xml"])
def test_a_value_that_is_too_long_is_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, escape_xml: bool
) -> None:
    monkeypatch.setattr(bounds, "MAX_LENGTH", 1000)
    message = error_of(folder, source, escape_xml=escape_xml)
    assert message.startswith(("var/templates/base.tpl, line ", "templates/long.tpl, line "))
    assert ": OverflowError: a" in message


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 'a' * 1000 }}", "a" * 1000),
        ("{{ 2 + 3 }}{{ 2 * 3 }}{{ 7 % 4 }}{{ 2 ** 10 }}{{ 2 ** 0.5 > 1 }}{{ 7.5 % 2 }}", "5631024True1.5"),
        ("{{ 493012345 + 1 }} {{ '%d' % 493012345 }} {{ '{}'.format(493012345) }}", "493012346 493012345 493012345"),
        ("{{ '%05d|%-4s|%s%%' % (7, a, long | length) }}", "00007|a   |600%"),
        ("{{ '%(x).3s' % holder }}{{ '%s' % [1, 2] }}{{ '%*d' % (3, five) }}", "aaa[1, 2]  5"),
        ("{{ '{:>4}|{a:{w}}|{1.real}'.format(a, five, a=1, w=3) }}", "   a|  1|5"),
        ("{{ '{x:.3}'.format_map(holder) }}", "aaa"),
        ("{{ a.ljust(3) }}|{{ a.center(width) if width else a.zfill(3) }}", "a  |00a"),
        ("{{ 'a\tb'.expandtabs(2) }}{{ 'a-b'.replace('-', '') }}{{ 'ab'.translate({97: 'c'}) }}", "a babcb"),
        ("{{ ', '.join(range(3) | map('string')) }}{{ range(3) | join('-') }}", "0, 1, 20-1-2"),
        ("{{ [{'n': 'x'}, {'n': 'y'}] | join(';', attribute='n') }}", "x;y"),
        ("{{ 'a' | center(3) }}|{{ 'a\nb' | indent(2, first=true) }}", " a |  a\n  b"),
        ("{{ '%s-%s' | format(1, 2) }}|{{ 2.345 | round(1) }}|{{ 'a b' | wordwrap(1) }}", "1-2|2.3|a\nb"),
        ("{{ [1, 2, 3] | batch(2, 0) | list }}", "[[1, 2], [3, 0]]"),
        ("{{ [1] | tojson(indent=1) }}{{ 'aXb' | replace('X', '.', 1) }}", "[\n 1\n]a.b"),
        ("{{ a ~ 1 ~ none ~ [1] }}{% block b %}b{% endblock %}{{ self.b() }}", "a1None[1]bb"),
        ("{{ 'a'.upper() }}{{ 'a b'.split() }}{{ 'abc'.find('c', 0, 99999) }}{{ (5).bit_length() }}", "A['a', 'b']23"),
    ],
)  # fmt: skip
def test_other_values_are_what_they_always_were(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, text: str
) -> None:
    monkeypatch.setattr(bounds, "MAX_LENGTH", 1000)
    assert render(folder, source) == text


def test_values_are_still_escaped_for_xml(folder: Path) -> None:
    source = "{% set i = '<i>' %}{{ i ~ '<b>'|safe }}{{ ('%s'|safe) % '<' }}{{ ('{}'|safe).format('<') }}"
    assert render(folder, source, escape_xml=True) == "&lt;i&gt;<b>&lt;&lt;"
    block = "{% block b %}{{ '<' }}<b>{% endblock %}{{ self.b() }}{% macro m() %}<{{ '<' }}{% endmacro %}{{ m() }}"
    assert render(folder, block, escape_xml=True) == "&lt;<b>&lt;<b><&lt;"


def test_a_template_that_is_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MAX_TEMPLATE_BYTES", 100)
    assert render(folder, "é" * 50) == "é" * 50
    assert error_of(folder, "é" * 51) == "var/templates/base.tpl, line 1: cannot be read: larger than 100 bytes"


def test_output_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates_module, "MAX_RENDERED_CHARACTERS", 1000)
    assert len(render(folder, "{{ 'x' * 1000 }}")) == 1000
    assert error_of(folder, "{{ 'x' * 1001 }}") == "base.tpl: gives more than 1000 characters"
    assert "gives more than" in error_of(folder, "{% for a in range(1001) %}x{% endfor %}")


# --- time and memory


def test_time_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates_module, "MAX_RENDER_SECONDS", 0.1)
    started = time.monotonic()
    message = error_of(folder, "\n{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}")
    assert message.startswith("var/templates/base.tpl")
    assert message.endswith(": takes more than 0.1 seconds")
    assert time.monotonic() - started < 10


def test_time_for_compiling_is_bounded_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates_module, "MAX_RENDER_SECONDS", 0.1)
    started = time.monotonic()
    write(folder / "templates/part.tpl", "{% if false %}" + "{{ a[five + 1] }}" * 20_000 + "{% endif %}")
    assert error_of(folder, "{% include 'part.tpl' %}") == "templates/part.tpl, line 1: takes more than 0.1 seconds"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("value", ["'x'", "a"], ids=["while it is compiled", "while it is rendered"])
def test_a_filter_that_never_ends_is_ended_whatever_it_catches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(templates_module, "MAX_RENDER_SECONDS", 0.1)
    ends = time.monotonic() + 20

    def slow(text: str) -> str:
        while time.monotonic() < ends:
            try:
                sum(range(10_000))
            except Exception:  # noqa: BLE001
                pass
        return text

    assert "base.tpl, line 1: takes more than 0.1 seconds" in error_of(
        folder, "{{ " + value + " | slow }}", filters={"slow": slow}
    )
    assert time.monotonic() < ends


def test_a_limit_that_is_reached_in_a_finalizer_still_ends_the_template(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what is raised there."""
    monkeypatch.setattr(templates_module, "MAX_RENDER_SECONDS", 0.1)

    class Slow:
        def __del__(self) -> None:
            ends = time.thread_time() + 0.3
            while time.thread_time() < ends:
                pass

    def slow(text: str) -> str:
        Slow()
        while time.thread_time() < ends:
            pass
        return text

    ends = time.thread_time() + 5
    monkeypatch.setattr(sys, "unraisablehook", lambda _unraisable: None)
    assert "takes more than 0.1 seconds" in error_of(folder, "{{ a | slow }}", filters={"slow": slow})
    assert time.thread_time() < ends


LONG_LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (LONG_LOOP, "0.2 seconds"),
        ("{% set l = [] %}{% for i in range(200) %}{% set _ = l.append('a'.ljust(99000 + i)) %}{% endfor %}", "8 MiB"),
        ("{% set l = [1] %}{% for i in range(21) %}{% set _ = l.extend(l) %}{% endfor %}", "8 MiB"),
        ("{% set l = ('a' * 100000,) * 200 %}{% set l = l | string | list %}", "8 MiB"),
    ],
    ids=["silent loops", "many values", "a list that doubles", "one value many times"],
)
def test_a_runaway_is_ended_also_where_nothing_is_written(folder: Path, source: str, message: str) -> None:
    write(folder / "var/templates/base.tpl", source + LONG_LOOP)
    ended = subprocess.run([sys.executable, RUNAWAY, folder], capture_output=True, timeout=10, check=False, text=True)
    assert ended.stdout.startswith("TemplateError: var/templates/base.tpl, line 1: takes more than " + message)


def test_nothing_is_left_of_the_limits(folder: Path) -> None:
    before = signal.getitimer(signal.ITIMER_PROF)
    render(folder, "x")
    error_of(folder, "{{ 1 / 0 }}")
    assert signal.getitimer(signal.ITIMER_PROF) == before == (0.0, 0.0)
    assert callable(signal.getsignal(signal.SIGPROF)), "a signal that comes late would end the process"
    os.kill(os.getpid(), signal.SIGPROF)

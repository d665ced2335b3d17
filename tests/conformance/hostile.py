"""Texts that administrators and callers may put into any field, and the fields that take any text."""

from __future__ import annotations

import copy
from typing import Any

from provd.model.raw_config import FUNCKEY_KEYS, GLOBAL_KEYS, LINE_KEYS
from provd.model.values import text

from .raw_configs import RawConfig

TAG = "TAG"
"""Stands in a hostile text for what tells the field that the text is in."""

HOSTILE = {
    "quote first": '"TAG',
    "quote last": 'TAG"',
    "quotes around": '"TAG"',
    "quote within": 'a "TAG" b',
    "quote and comment": 'TAG" # "',
    "apostrophe": "'TAG' O'Hara",
    "backslash": "\\TAG\\",
    "escaped line feed": "TAG\\nadmin password: 1",
    "comment": "#TAG",
    "comment later": "TAG # not a comment",
    "semicolon": "TAG; TAG",
    "colon": "TAG: TAG",
    "another parameter": "TAG admin password: 1",
    "equals sign": "TAG=1&b=2",
    "element": "<TAG>&amp;</TAG>",
    "end of CDATA": "]]>TAG<![CDATA[",
    "XML entity": "&TAG; &#10; &lt;",
    "attribute": 'TAG" onload="TAG',
    "expression": "TAG{{ 7*7 }}",
    "statement": "{% raw %}TAG{% for x in y %}",
    "template comment": "{# TAG #}",
    "attribute access": "{{ ''.__class__ }}TAG",
    "shell": "$TAG ${TAG} `TAG`",
    "percent": "%TAG %s %0a %00",
    "path": "../../TAG",
    "prefix": "!TAG",
    "caret": "^TAG",
    "two slashes": "//TAG",
    "comma": "TAG, TAG",
    "vertical bar": "TAG|TAG",
    "brackets": "[TAG] (TAG) {TAG}",
    "blank first": "  TAG",
    "blank last": "TAG  ",
    "no-break space": "\u00a0TAG\u3000",
    "long": "TAG" + "x" * 5000,
    "accents": "é TAG Łódź ß",
    "Chinese": "你好TAG",
    "emoji": "😀TAG👩‍💻",
    "right to left": "\u200fTAG\u200e\u202e",
    "combining marks": "TAG\u0301\u0323",
}

CONTROL_CHARACTERS = "\0\t\n\v\f\r\x1b\x7f\x85\u2028\u2029\ud800"

Field = tuple[str, ...]
"""Where a value is: the keys on the way to it."""


def free_text_fields() -> list[Field]:
    """Every field of the schema that takes any text, with the first line and the first keys for all of them."""
    shared = [(key,) for key, check in GLOBAL_KEYS.items() if check is text]
    of_line = [("sip_lines", "1", key) for key, check in LINE_KEYS.items() if check is text]
    of_keys = [
        ("funckeys", number, key) for number in ("1", "2", "3") for key, check in FUNCKEY_KEYS.items() if check is text
    ]
    return shared + of_line + of_keys


def tag_of(field: Field) -> str:
    """What tells a field in a file: letters and digits that stand nowhere else."""
    return f"zq{free_text_fields().index(field):03}"


def hostile_text(pattern: str, field: Field) -> str:
    """A hostile text as it stands in one field."""
    return pattern.replace(TAG, tag_of(field))


def with_hostile_texts(raw: RawConfig, pattern: str, fields: list[Field]) -> RawConfig:
    """A copy of `raw` with a hostile text in each of some fields."""
    changed = copy.deepcopy(raw)
    for field in fields:
        put(changed, field, hostile_text(pattern, field))
    return changed


def put(raw: RawConfig, field: Field, value: Any) -> None:
    """Set the value of a field."""
    *way, last = field
    holder = raw
    for key in way:
        holder = holder.setdefault(key, {})
    holder[last] = value

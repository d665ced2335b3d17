"""The snippet for dnsmasq.

Every rule sets a tag, unless a rule before has set the tag of the known phones. `dhcp-vendorclass` looks for a text
anywhere, so `dhcp-match` is used, which compares bytes in hex from the beginning; an asterisk stands for any byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from provd.dhcp.rules import Rule, describe
from provd.dhcp.snippet import PREFIX, Snippet, commented
from provd.dhcp.table import Option, Pattern
from provd.dhcp.values import Value

KNOWN = f"{PREFIX}-known"
_SUFFIXES = {"uint8": "b", "uint16": "s", "uint32": "i"}
"""What says how many bytes a number has."""

_HOW_TO = """\
Where it goes: /etc/dnsmasq.d/xivo-provd.conf
Then: dnsmasq --test && systemctl restart dnsmasq

dnsmasq runs one dhcp-script only: if it has one already, take the line out here and have that script run the hook with
the same arguments. On another machine than provd's, leave dhcp-script and script-on-renewal out.
"""


def render(snippet: Snippet) -> str:
    """The snippet as text, a file of its own."""
    lines = commented([*snippet.title("dnsmasq"), *_HOW_TO.splitlines()], "#")
    lines += ["", "# Tells provd of leases; also of renewals, so that what it missed is told again."]
    lines += [f"dhcp-script={snippet.hook}", "script-on-renewal"]
    for rule in snippet.rules:
        lines += ["", *commented(describe(rule), "#"), *_recognition(rule), *_options(rule)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Text as a string, whatever it looks like: an address, a number, or hex."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tag(rule: Rule) -> str:
    """The tag of the rule's phones."""
    return f"{PREFIX}-{rule.name}"


def _recognition(rule: Rule) -> Iterator[str]:
    match = f"{tag(rule)}-match"
    for oui in rule.ouis:
        yield f"dhcp-mac=set:{match},{oui}:*:*:*"
    if rule.ouis:
        yield f"tag-if=set:{tag(rule)},tag:{match},tag:!{KNOWN}"
    for number, pattern in enumerate(rule.vendor_classes, 1):
        yield from _vendor_class(rule, f"{match}-{number}", pattern)
    yield f"tag-if=set:{KNOWN},tag:{tag(rule)}"


def _vendor_class(rule: Rule, match: str, pattern: Pattern) -> Iterator[str]:
    bytes_in_hex = pattern.text.encode().hex(":")
    yield f"# option 60 {'is' if pattern.exact else 'begins with'} {pattern.text}"
    yield f"dhcp-match=set:{match},60,{bytes_in_hex}"
    if not pattern.exact:
        yield f"tag-if=set:{tag(rule)},tag:{match},tag:!{KNOWN}"
        return
    yield f"dhcp-match=set:{match}-longer,60,{bytes_in_hex}:*"
    yield f"dhcp-match=set:{match}-nul,60,{bytes_in_hex}:00"
    yield f"dhcp-match=set:{match}-nul-longer,60,{bytes_in_hex}:00:*"
    yield f"tag-if=set:{tag(rule)},tag:{match},tag:!{match}-longer,tag:!{KNOWN}"
    yield f"tag-if=set:{tag(rule)},tag:{match}-nul,tag:!{match}-nul-longer,tag:!{KNOWN}"


def _options(rule: Rule) -> Iterator[str]:
    """The options, sent whether a phone asks for them or not."""
    for option in rule.options:
        yield f"dhcp-option-force=tag:{tag(rule)},{_code(option)},{_value(option.value)}"


def _code(option: Option) -> str:
    return str(option.code) if option.sub is None else f"encap:{option.code},{option.sub}"


def _value(value: Value) -> str:
    if value.kind == "text":
        return quoted(str(value.content))
    if value.kind == "ip":
        return str(value.content)
    return f"{int(value.content)}{_SUFFIXES.get(value.kind, 'b')}"

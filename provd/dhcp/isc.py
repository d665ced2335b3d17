"""The snippet for ISC dhcpd.

One class holds all rules as if/elsif, so that the first that fits is the only one, and so that what it says counts more
than what a subnet says to all (a group does not reach subclasses). dhcpd sends only what a phone asks for, so options
are put on the phone's own list (option 55).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provd.dhcp.rules import Rule, describe, own_options, vendor_spaces
from provd.dhcp.snippet import PREFIX, Snippet, commented
from provd.dhcp.table import BOOT_FILE_NAME, TFTP_SERVER_NAME, VENDOR_OPTIONS, Option, Pattern
from provd.dhcp.values import Value

_TYPES = {
    "text": "text",
    "ip": "array of ip-address",
    "boolean": "boolean",
    "uint8": "unsigned integer 8",
    "uint16": "unsigned integer 16",
    "uint32": "unsigned integer 32",
}
_NAMES = {
    TFTP_SERVER_NAME: "tftp-server-name",
    BOOT_FILE_NAME: "bootfile-name",
    VENDOR_OPTIONS: "vendor-encapsulated-options",
}

_HOW_TO = """\
Where it goes: /etc/dhcp/xivo-provd.conf, and into /etc/dhcp/dhcpd.conf, before the first subnet, the line
    include "/etc/dhcp/xivo-provd.conf";
Then: dhcpd -t -cf /etc/dhcp/dhcpd.conf && systemctl restart isc-dhcp-server

An "on commit", "on release" or "on expiry" of a subnet, pool, class or host takes the place of those here: put the
execute statement there too. On another machine than provd's, leave the events out. With AppArmor, the package
xivo-provd allows dhcpd to run the hook (/etc/apparmor.d/dhcpd.d/).
"""


def render(snippet: Snippet) -> str:
    """The snippet as text, to be included into dhcpd.conf."""
    lines = commented([*snippet.title("ISC dhcpd"), *_HOW_TO.splitlines()], "#")
    lines += ["", *_definitions(snippet.rules)]
    lines += ["", "# Every client is in this class. The first condition that is true is the only one that counts."]
    lines += [f'class "{PREFIX}" {{', "    match if exists dhcp-message-type;", *_rules(snippet.rules), "}"]
    lines += ["", *_events(snippet.hook)]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Text as a string; a dollar sign means nothing."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def condition(rule: Rule) -> str:
    """What is true of the rule's phones, over several lines; a rule before may have taken some of them."""
    by_oui = (f"substring(hardware, 1, 3) = {oui}" for oui in rule.ouis)
    return "\n            or ".join([*map(_vendor_class, rule.vendor_classes), *by_oui])


def _vendor_class(pattern: Pattern) -> str:
    option, text = "option vendor-class-identifier", quoted(pattern.text)
    if pattern.exact:
        return f'{option} = {text}\n            or {option} = {text[:-1]}\\000"'
    return f"substring({option}, 0, {len(pattern.text)}) = {text}"


def _definitions(rules: Iterable[Rule]) -> Iterator[str]:
    rules = list(rules)
    for code, kind in own_options(rules).items():
        yield f"option {PREFIX}-{code} code {code} = {_TYPES[kind]};"
    for phones, kinds in vendor_spaces(rules).items():
        yield f"option space {PREFIX}-{phones};"
        for sub, kind in kinds.items():
            yield f"option {PREFIX}-{phones}.sub-{sub} code {sub} = {_TYPES[kind]};"


def _rules(rules: Iterable[Rule]) -> Iterator[str]:
    for number, rule in enumerate(rules):
        yield from commented(describe(rule), "#", "    ")
        yield f"    {'elsif' if number else 'if'} {condition(rule)} {{"
        yield from (f"        {statement}" for statement in _statements(rule))
        yield "    }"


def _statements(rule: Rule) -> Iterator[str]:
    if any(option.sub is not None for option in rule.options):
        yield f"vendor-option-space {PREFIX}-{rule.phones};"
    for option in rule.options:
        yield f"option {_name(rule, option)} {_value(option.value)};"
    if rule.codes:
        asked = "option dhcp-parameter-request-list"
        yield f"{asked} = concat({asked}, {':'.join(f'{code:02x}' for code in rule.codes)});"


def _name(rule: Rule, option: Option) -> str:
    if option.sub is not None:
        return f"{PREFIX}-{rule.phones}.sub-{option.sub}"
    return _NAMES.get(option.code, f"{PREFIX}-{option.code}")


def _value(value: Value) -> str:
    return quoted(str(value.content)) if value.kind == "text" else str(value.content).lower()


def _events(hook: str) -> Iterator[str]:
    """What dhcpd runs when a lease changes; an option that is not there gives an empty argument."""
    yield from commented(["Tells provd of leases: address, MAC address and option 60 of who has them."], "#")
    address = 'binary-to-ascii(10, 8, ".", leased-address)'
    option = 'pick-first-value(concat("060", binary-to-ascii(16, 8, ".", option vendor-class-identifier)), "")'
    yield from [
        "on commit {",
        f'    execute({quoted(hook)}, "commit",',
        f"        {address},",
        '        binary-to-ascii(16, 8, ":", suffix(hardware, 6)),',
        f"        {option});",
        "}",
    ]
    for event in ("release", "expiry"):
        yield from [f"on {event} {{", f'    execute({quoted(hook)}, "{event}", {address});', "}"]

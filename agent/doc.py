"""`troth doc`: what the words of the language mean, from the docstrings and the reference tables.

An entry is found by its name (`regcmp`, `files`, `perms`), and what belongs to something by both
names or by its own (`files.create` or `create`, `sys.host` or `host`).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from agent.actuators import NOT_YET
from policy import vocabulary
from policy.functions import SIGNATURES, Unsupported, implementation
from policy.reference import sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.log import Log
    from agent.options import Settings
    from policy.reference import Section
    from policy.vocabulary import Attribute

WIDTH = 80
LONG = 60  # characters of the type of an argument
EXIT_UNKNOWN = 1
BOLD = "\x1b[1m{}\x1b[0m"
# a kind of entry: what a reader calls several
KINDS = {
    "function": "functions",
    "promise type": "promises",
    "body": "bodies",
    "attribute": "attributes",
    "variable": "variables",
    "scope": "scopes",
}
FLAGS = {
    "+": 'A container can be named, as "list" or "@(list)", or written out as JSON.',
    "K": "Called once a run with the same arguments; the answer is kept.",
    "U": "It acts, so 'troth plan' does not call it.",
    "X": "Deprecated.",
}
FAILED = (
    "When a call fails, its variable stays undefined, its class is not set, and a promise with it "
    "in 'if' is skipped."
)
NOT_HERE = "Not yet supported."
STATUSES = {"deprecated": "Deprecated.", "removed": "Removed; without effect."}
# what an example gives to an attribute of a type whose table gives none
USUAL = {"bool": '"true"', "body": "my_{name}", "bundle": "my_{name}", "int": '"1"'}


class Entry(NamedTuple):
    """What is said about one name."""

    kind: str
    name: str
    form: str  # how it is written, or what it is
    meaning: str
    fails: str = ""
    example: str = ""
    notes: tuple[str, ...] = ()
    rows: tuple[tuple[str, str, str], ...] = ()  # what belongs to it: name, type, meaning


def main(settings: Settings, log: Log) -> int:
    """Print what is known of the names, or find names."""
    everything = entries()
    if settings.listing or settings.word:
        found, unknown = _selected(everything, settings.files, settings.word)
    else:
        found, unknown = _named(everything, settings.files)
    if settings.json:
        log.show(_json(found))
    elif found and (settings.listing or settings.word):
        log.show("\n".join([_line(entry) for entry in found]))
    elif found:
        log.show("\n\n".join([page(entry, settings) for entry in found]))
    for message in unknown:
        log("error", message)
    return EXIT_UNKNOWN if unknown or not found else 0


def entries() -> list[Entry]:
    """All there is to say, by kind and name."""
    found = [*functions(), *promise_types(), *bodies(), *attributes(), *variables()]
    kinds = list(KINDS)
    return sorted(found, key=lambda entry: (kinds.index(entry.kind), entry.name))


# functions


def functions() -> Iterator[Entry]:
    """An entry for each built-in function."""
    table = sections("functions")
    names = {name: cells[0].split() for name, cells in table["arguments"].rows.items()}
    for name, (returns, params, _, flags) in SIGNATURES.items():
        notes = [text for flag, text in FLAGS.items() if flag in flags.partition("V")[0]]
        notes = [*_choices(params), *notes]
        try:
            function = implementation(name, "agent.functions")
        except Unsupported:
            meaning, example = table["not yet"].rows[name]
            text = meaning.replace(" Fails", "\nFails").replace(" Never", "\nNever")
            arguments, notes = names[name], [NOT_HERE, *notes]
        else:
            text, _, example = (function.__doc__ or "").partition("Example:\n")
            arguments = names.get(name) or _arguments(function)
        meaning, fails = _told(text)
        form = f"{name}({_signature(arguments, params.split(), flags)}) -> {returns}"
        example = textwrap.dedent(example).strip()
        yield Entry("function", name, form, meaning, fails, example, tuple(notes))


def _arguments(function: Callable[..., object]) -> list[str]:
    """The names of the arguments of FUNCTION that policy gives."""
    code = function.__code__
    count = code.co_argcount + bool(code.co_flags & 0x04)  # *arguments come behind the others
    return [name.strip("_") for name in code.co_varnames[1:count]]


def _signature(names: list[str], params: list[str], flags: str) -> str:
    """`path: str, [suffix: str]`: arguments with their types, in brackets what may be left out."""
    least, most = len(names), str(len(names))
    if "V" in flags:
        fewest, _, most = flags.partition("V")[2].partition(":")
        least = int(fewest)
    types = [*params, *params[-1:] * len(names)]
    written = [f"{name}: {_spoken(kind, name)}" for name, kind in zip(names, types, strict=False)]
    if not most:
        written[-1] = written[-1].replace(":", "...:", 1)
        least = max(least, len(names))
    return ", ".join([*written[:least], *[f"[{it}]" for it in written[least:]]])


def _spoken(kind: str, name: str) -> str:
    """The type of an argument as a reader knows it."""
    kind = kind.removesuffix("...")
    if kind.startswith("str/"):
        return "str"
    if name in ("items", "others", "containers", "data"):
        return "container"
    return kind if len(kind) < LONG else f"{kind[:LONG].rpartition('|')[0]}|..."


def _choices(params: str) -> list[str]:
    """The words that can be given for an argument, if they are too many for the signature."""
    return [
        f"One of {kind.replace('|', ' ').removesuffix('...')}."
        for kind in params.split()
        if "|" in kind and len(kind) >= LONG
    ]


def _told(text: str) -> tuple[str, str]:
    """Meaning and behaviour at failure, the latter from a line that begins so on."""
    lines = textwrap.dedent(f"    {text}").strip().splitlines()
    lines = [line.strip() for line in lines]
    at = next((n for n, it in enumerate(lines) if it.startswith(("Fails", "Never fails"))), None)
    paragraphs = "\n".join(lines[:at]).strip().split("\n\n")
    meaning = "\n\n".join([" ".join(paragraph.split()) for paragraph in paragraphs])
    return meaning, " ".join(lines[at:]).strip() if at is not None else ""


# promise types, bodies, attributes


def promise_types() -> Iterator[Entry]:
    """An entry for each promise type."""
    for name, section in sections("promises").items():
        if name == "*":
            continue
        where = vocabulary.bundles_with(name)
        form = "promise type, in every bundle"
        if len(where) < len(vocabulary.BUNDLES):
            form = f"promise type, in bundles of type {' '.join(where)}"
        notes = (NOT_HERE,) if name in NOT_YET else ()
        rows = _rows(section, vocabulary.OF_PROMISES[name])
        yield Entry("promise type", name, form, section.meaning, "", section.example, notes, rows)


def bodies() -> Iterator[Entry]:
    """An entry for each type of body."""
    for name, section in sections("bodies").items():
        if name != "*":
            known = vocabulary.OF_BODIES[name.partition(" ")[0]]
            form = f"body {name}" if " " in name else f"body, written 'body {name} NAME'"
            if name == "promise":
                form = "block, written 'promise agent NAME'"
            yield Entry(
                "body", name, form, section.meaning, "", section.example, (), _rows(section, known)
            )


def _rows(section: Section, known: dict[str, Attribute]) -> tuple[tuple[str, str, str], ...]:
    return tuple([(name, known[name].type, cells[1]) for name, cells in section.rows.items()])


def attributes() -> Iterator[Entry]:
    """An entry for each attribute of promises and bodies."""
    for table, common, every, of in (
        ("promises", "promise", vocabulary.IN_EVERY_PROMISE, vocabulary.OF_PROMISES),
        ("bodies", "body", vocabulary.IN_EVERY_BODY, vocabulary.OF_BODIES),
    ):
        for owner, section in sections(table).items():
            known = every if owner == "*" else of[owner.partition(" ")[0]]
            place = f"every {common}" if owner == "*" else f"'{owner}' {table}"
            if " " in owner:
                place = f"'body {owner}'"
            elif owner == "promise":
                place = "'promise' blocks"
            for name, (value, meaning) in section.rows.items():
                yield _attribute(
                    known[name], owner, place, value or example_of(known[name]), meaning
                )


def _attribute(row: Attribute, owner: str, place: str, value: str, meaning: str) -> Entry:
    kind = f"{row.type}, one of {row.range.replace('|', ' ')}" if row.type == "option" else row.type
    if row.type in ("int", "real", "irange") and row.range:
        kind = f"{row.type}, {row.range.replace('..', ' to ')}"
    notes = [f"Since version {row.since} of the language."] if row.since else []
    if row.status in STATUSES:
        notes.append(STATUSES[row.status])
    name = row.name if owner == "*" else f"{owner.partition(' ')[0]}.{row.name}"
    return Entry(
        "attribute", name, f"{kind}; attribute of {place}", meaning, "",
        f"{row.name} => {value}", tuple(notes),
    )  # fmt: skip


def example_of(row: Attribute) -> str:
    """A value for an attribute whose type says what it may be."""
    if row.type == "option":
        return f'"{row.range.partition("|")[0]}"'
    return USUAL[row.type].format(name=row.name)


# variables


def variables() -> Iterator[Entry]:
    """An entry for each scope and each variable that nobody defines."""
    for scope, section in sections("variables").items():
        rows = tuple([(name, "", cells[0]) for name, cells in section.rows.items()])
        yield Entry("scope", scope, f"scope, $({scope}.NAME)", section.meaning, rows=rows)
        for name, _, meaning in rows:
            full = f"{scope}.{name}"
            yield Entry("variable", full, f"variable $({full})", meaning)


def here(name: str, settings: Settings) -> list[str]:
    """What the variables of `sys` that begin with NAME are worth on this host, up to three."""
    from agent.facts import gather
    from agent.host import Host
    from policy.values import dump_json

    _, facts = gather(Host(), settings.now, None, settings.workdir)
    wanted = name.removeprefix("sys.")
    facts.get(wanted)  # has the theme looked at
    found = [key for key in sorted(facts) if key == wanted or key.startswith(f"{wanted}[")]
    lines = []
    for key in found[:3]:
        value = facts[key].value
        text = value if isinstance(value, str) else dump_json(value)
        lines.append(textwrap.shorten(f"$(sys.{key}) = {text}", WIDTH - 4, placeholder=" ..."))
    return lines


# finding


def _named(everything: list[Entry], names: tuple[str, ...]) -> tuple[list[Entry], list[str]]:
    """The entries of these names, and what is to be said about those that there are none of."""
    from difflib import get_close_matches

    found: list[Entry] = []
    unknown = []
    for name in names:
        bare = name[2:-1] if name.startswith(("$(", "${")) else name
        matches = [entry for entry in everything if bare in _names(entry)]
        found += matches
        if not matches:
            known = {spelled for entry in everything for spelled in _names(entry)}
            close = get_close_matches(bare, sorted(known), n=4)
            hint = f"; nearest: {' '.join(close)}" if close else "; see 'troth doc --list'"
            unknown.append(f"nothing is called '{name}'{hint}")
    return found, unknown


def _names(entry: Entry) -> tuple[str, ...]:
    """What an entry can be asked for by; also as a reference."""
    return (entry.name, entry.name.rpartition(".")[2], entry.name.partition(" ")[0])


def _selected(
    everything: list[Entry], kinds: tuple[str, ...], word: str
) -> tuple[list[Entry], list[str]]:
    """The entries of these KINDS (all, if none are named) that have WORD in them."""
    known = {spelled: kind for kind, several in KINDS.items() for spelled in (kind, several)}
    known["promise"] = "promise type"
    unknown = [
        f"'{kind}' is not a kind: {' '.join(KINDS.values())}" for kind in kinds if kind not in known
    ]
    wanted = {known[kind] for kind in kinds if kind in known} if kinds else set(KINDS)
    return [
        entry
        for entry in everything
        if entry.kind in wanted and word.lower() in f"{entry.name} {entry.meaning}".lower()
    ], unknown


# showing


def page(entry: Entry, settings: Settings) -> str:
    """All about ENTRY, as a terminal shows it."""
    head = entry.form if entry.kind == "function" else entry.name
    held = head.replace(": ", ":\0").replace(" -> ", "\0->\0")  # lines end between arguments
    lines = textwrap.wrap(held, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    lines = [line.replace("\0", " ") for line in lines]
    if settings.color:
        lines = [BOLD.format(line) for line in lines]
    form = "function" if entry.kind == "function" else entry.form
    lines += textwrap.wrap(f"({form})", WIDTH, break_on_hyphens=False)
    fails = f"{entry.fails} {FAILED}" if entry.fails.startswith("Fails") else entry.fails
    for paragraph in (*entry.meaning.split("\n\n"), fails, *entry.notes):
        if paragraph:
            lines += ["", *textwrap.wrap(paragraph, WIDTH, break_on_hyphens=False)]
    if entry.rows:
        lines += ["", *_table(entry.rows)]
    if entry.kind == "variable" and entry.name.startswith("sys."):
        lines += ["", "Here:", *[f"    {line}" for line in here(entry.name, settings)]]
    if entry.example:
        lines += ["", "Example:", *textwrap.indent(entry.example, "    ").splitlines()]
    return "\n".join(lines)


def _table(rows: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    """Rows of name, type and meaning, the meaning wrapped in its column."""
    first = max(len(name) for name, _, _ in rows) + 2
    second = max(len(kind) for _, kind, _ in rows)
    left = 2 + first + (second + 2 if second else 0)
    for name, kind, meaning in rows:
        start = f"  {name:{first}}{kind:{second}}".ljust(left)
        if left > WIDTH // 2:
            yield start.rstrip()
            start, left = " " * 6, 6
        yield from textwrap.wrap(
            meaning, WIDTH, initial_indent=start, subsequent_indent=" " * left,
            break_on_hyphens=False,
        )  # fmt: skip


def _line(entry: Entry) -> str:
    """ENTRY in a list."""
    text = f"{entry.name:28} {entry.kind:13} {' '.join(entry.meaning.split())}"
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3].rpartition(' ')[0]}..."


def _json(found: list[Entry]) -> str:
    from json import dumps

    return dumps(
        [
            {
                "kind": entry.kind, "name": entry.name, "form": entry.form,
                "meaning": entry.meaning, "fails": entry.fails, "example": entry.example,
                "notes": entry.notes,
                "members": [
                    {"name": name, "type": kind, "meaning": meaning}
                    for name, kind, meaning in entry.rows
                ],
            }
            for entry in found
        ],
        indent=2, ensure_ascii=False,
    )  # fmt: skip

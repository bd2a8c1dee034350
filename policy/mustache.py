"""Templates: mustache as the language has it, with `{{%x}}` and `{{$x}}` for JSON and `{{@}}`.

Values are looked for on a stack, the data at its bottom. A section pushes what it is about; one
that went round leaves it there when it ends, which templates in use rely on.
"""

from policy import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANK = " \t"
_SECTION, _INVERTED, _END, _COMMENT, _DELIMITERS = "#", "^", "/", "!", "="
_ALONE = frozenset((_SECTION, _INVERTED, _END, _COMMENT, _DELIMITERS))  # may be a line of their own
_LONGEST_DELIMITER = 10
_MISSING = object()
_ESCAPES = str.maketrans({"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;"})


class Unrenderable(ValueError):
    """The template cannot be rendered. LEVEL is how loudly to say why."""

    def __init__(self, message: str, level: str = "error") -> None:
        super().__init__(message)
        self.level = level


def render(template: str, data: "Any") -> str:
    """TEMPLATE filled with DATA. Raises Unrenderable."""
    renderer = _Renderer(template, data)
    try:
        renderer.section(0, None, skip=False, outermost=True)
    except RecursionError:
        raise Unrenderable("Too many sections inside of each other") from None
    return "".join(renderer.out)


class _Tag:
    """A tag of the template: its KIND, the character that says it or `v`, and what it says."""

    __slots__ = ("end", "kind", "name", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text
        self.name = text.strip(_BLANK)
        self.start = start
        self.end = end


def _tag(template: str, at: int, delimiters: tuple[str, str]) -> _Tag | None:
    """The next tag from AT on, or None."""
    opening, closing = delimiters
    start = template.find(opening, at)
    if start < 0:
        return None
    at = start + len(opening)
    kind = template[at : at + 1]
    if kind in ("#", "^", "/", "!", "=", "{", "&", "%", "$"):
        at += 1
    else:
        kind = "v"
    ending = {"{": "}", "=": "="}.get(kind, "") + closing
    end = template.find(ending, at)
    if kind == "{" and template.find(closing, at) < end:
        end = -1  # the first end has to be that of the tag
    if end < 0:
        raise Unrenderable(
            "Broken Mustache template, could not find end delimiter after reading start "
            f"delimiter at '{template[start : start + 20]}'"
        )
    return _Tag(kind, template[at:end], start, end + len(ending))


def _new_delimiters(tag: _Tag) -> tuple[str, str]:
    """The delimiters that TAG asks for."""
    words = tag.text.split()
    if len(words) != 2:
        raise Unrenderable(
            f"Could not parse delimiter mustache, number of tokens is {len(words)}, "
            f"expected 2 in '{tag.text}'",
            "warning",
        )
    for word in words:
        if len(word) > _LONGEST_DELIMITER:
            raise Unrenderable(
                f"New mustache delimiter exceeds the allowed size of {_LONGEST_DELIMITER} in "
                f"'{tag.text}'",
                "warning",
            )
    return words[0], words[1]


def _line_after(template: str, tag: _Tag) -> int | None:
    """Where the next line begins if TAG has its line for itself, otherwise None."""
    start = tag.start
    while start and template[start - 1] in _BLANK:
        start -= 1
    if start and template[start - 1] != "\n":
        return None
    at = tag.end
    while template[at : at + 1] in (" ", "\t"):
        at += 1
    if at >= len(template):
        return at
    if template.startswith("\r\n", at):
        return at + 2
    return at + 1 if template[at] == "\n" else None


class _Renderer:
    """A template being rendered: the stack of values, the delimiters now in force, what is out."""

    __slots__ = ("data", "delimiters", "out", "stack", "template")

    def __init__(self, template: str, data: "Any") -> None:
        self.template = template
        self.data = data
        self.stack: list[Any] = [data]
        self.delimiters = ("{{", "}}")
        self.out: list[str] = []

    def section(self, at: int, place: str | None, *, skip: bool, outermost: bool = False) -> int:
        """Render from AT to the end of the section, and say where that is. PLACE: key or index."""
        while True:
            tag = _tag(self.template, at, self.delimiters)
            if tag is None:
                if not outermost:
                    raise Unrenderable("Unexpected end to Mustache template")
                self._say(self.template[at:], skip)
                return len(self.template)
            before = self.template[at : tag.start]
            after = _line_after(self.template, tag) if tag.kind in _ALONE else None
            self._say(before if after is None else before.rstrip(_BLANK), skip)
            at = tag.end if after is None else after
            if tag.kind == _END:
                if outermost:
                    raise Unrenderable(
                        f"Unknown section close in mustache template '{tag.name}'", "warning"
                    )
                return at
            if tag.kind == _DELIMITERS:
                self.delimiters = _new_delimiters(tag)
            elif tag.kind in (_SECTION, _INVERTED):
                at = self._enter(tag, at, skip)
            elif tag.kind != _COMMENT and not skip:
                self.out.append(self._variable(tag, place))

    def _say(self, text: str, skip: bool) -> None:
        if text and not skip:
            self.out.append(text)

    # sections

    def _enter(self, tag: _Tag, at: int, skip: bool) -> int:
        """Render the section that TAG opens and whose body begins AT; where it ends."""
        inverted = tag.kind == _INVERTED
        value = self._find(tag.name)
        if isinstance(value, list) or (isinstance(value, dict) and self._goes_round(at)):
            if value:
                return self._round(value, at, skip or inverted)
            hidden = not inverted if isinstance(value, list) else True
        elif isinstance(value, dict):
            hidden = inverted
        elif isinstance(value, bool) or value is _MISSING:
            hidden = (value is True) == inverted
        else:
            raise Unrenderable(
                "Mustache sections can only take a boolean or a container (array or map) value, "
                f"but section '{tag.name}' isn't getting one of those.",
                "warning",
            )
        return self._inside(value, at, None, skip or hidden)

    def _inside(self, value: "Any", at: int, place: str | None, skip: bool) -> int:
        """Render the section at AT with VALUE on top of the stack."""
        self.stack.append(value)
        end = self.section(at, place, skip=skip)
        self.stack.pop()
        return end

    def _round(self, container: "Any", at: int, skip: bool) -> int:
        """Render the section at AT once for each child of CONTAINER, which stays on the stack."""
        self.stack.append(container)
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        end = at
        for place, value in pairs:
            end = self._inside(value, at, str(place), skip)
        return end

    def _goes_round(self, at: int) -> bool:
        """Whether the body at AT says `{{@}}` before any section in it: it is for each child."""
        delimiters = self.delimiters
        while True:
            tag = _tag(self.template, at, delimiters)
            if tag is None or tag.kind in (_SECTION, _END):
                return False
            if tag.kind in ("v", "&", "{") and tag.text == "@":
                return True
            if tag.kind == _DELIMITERS:
                delimiters = _new_delimiters(tag)
            at = tag.end

    # values

    def _find(self, name: str) -> "Any":
        """The value of a dotted NAME, _MISSING if there is none. Only objects are looked into."""
        first, *rest = [key for key in name.split(".") if key] or [""]
        for value in reversed(self.stack):
            if isinstance(value, dict) and first in value:
                found = value[first]
                break
        else:
            if first != "-top-":
                return _MISSING
            found = self.data
        for key in rest:
            if not isinstance(found, dict) or key not in found:
                return _MISSING
            found = found[key]
        return found

    def _variable(self, tag: _Tag, place: str | None) -> str:
        """What a variable TAG prints."""
        if not tag.name:
            return "".join(self.delimiters)
        if tag.name == "@":
            if place is None:
                raise Unrenderable(
                    "RenderVariable: {{@}} Mustache tag must be used in a context where there's a "
                    "valid key or iteration position",
                    "warning",
                )
            return place.translate(_ESCAPES) if tag.kind == "v" else place
        value = self.stack[-1] if tag.name == "." else self._find(tag.name)
        if isinstance(value, (dict, list)):
            return self._container(tag, value)
        if value is _MISSING:
            return ""
        shown = values.formatted(value) or ""
        return shown.translate(_ESCAPES) if tag.kind == "v" else shown

    def _container(self, tag: _Tag, value: "Any") -> str:
        """A container as JSON, if TAG asks for that."""
        if tag.kind in ("%", "$"):
            return values.dump_json(value, pretty=tag.kind == "%")
        if tag.name == ".":
            raise Unrenderable(
                "{{.}} mustache tag cannot expand a container without specifying conversion - "
                "consider {{$.}} or {{%.}}",
                "warning",
            )
        raise Unrenderable(
            f"'{tag.name}' is a container, its mustache tag must say {{{{$...}}}} or {{{{%...}}}}",
            "warning",
        )

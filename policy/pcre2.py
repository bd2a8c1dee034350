"""libpcre2-8, bound by its soname through the C half of ctypes: the other half takes 4 ms.

Importing this raises ImportError or OSError where there is no such library.
"""

import _ctypes

from policy.regexp import BadPattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CAPTURECOUNT, _NAMECOUNT, _NAMEENTRYSIZE, _NAMETABLE = 4, 17, 18, 19  # pcre2_pattern_info
_NO_MATCH = -1


def _simple(code: str) -> "Any":
    """The C type that `struct` knows as CODE."""
    return type(f"_{code}", (_ctypes._SimpleCData,), {"_type_": code})


_CHAR, _INT, _UINT32, _SIZE, _POINTER = map(_simple, "ciILP")

_LIBRARY = _ctypes.dlopen("libpcre2-8.so.0", 0)


def _bound(name: str, result: "Any", *parameters: "Any") -> "Any":
    """The function NAME of the library, called under the interpreter's lock: see `_Data`."""
    flags = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI
    kind = type(
        name, (_ctypes.CFuncPtr,), {"_flags_": flags, "_restype_": result, "_argtypes_": parameters}
    )
    return kind(_ctypes.dlsym(_LIBRARY, f"pcre2_{name}_8"))


_compile = _bound("compile", _POINTER, _POINTER, _SIZE, _UINT32, _POINTER, _POINTER, _POINTER)
_free = _bound("code_free", None, _POINTER)
_info = _bound("pattern_info", _INT, _POINTER, _UINT32, _POINTER)
_match = _bound("match", _INT, _POINTER, _POINTER, _SIZE, _SIZE, _UINT32, _POINTER, _POINTER)
_message = _bound("get_error_message", _INT, _INT, _POINTER, _SIZE)
_new_data = _bound("match_data_create", _POINTER, _UINT32, _POINTER)
_vector = _bound("get_ovector_pointer", _POINTER, _POINTER)


def _reason(code: int) -> str:
    """What the library calls an error."""
    buffer = (_CHAR * 256)()
    length = _message(code, buffer, 256)
    return bytes(buffer[: max(length, 0)]).decode("ascii", "replace")


class _Data:
    """Where matches leave their bounds: one for all patterns, as it keeps 20 kB of stack frames."""

    __slots__ = ("address", "bounds")

    def __init__(self, groups: int) -> None:
        self.address = _new_data(groups + 1, None)
        self.bounds = (_SIZE * (2 * groups + 2)).from_address(_vector(self.address))


_SHARED = _Data(63)


class Code:
    """A compiled pattern."""

    __slots__ = ("_address", "_data", "_free", "_pattern", "groups", "names")

    def __init__(self, pattern: bytes, options: int) -> None:
        """Compile PATTERN with PCRE2's OPTIONS. Raises BadPattern."""
        self._free = _free
        self._pattern = pattern
        error, at = _INT(), _SIZE()
        self._address = _compile(
            pattern, len(pattern), options, _ctypes.byref(error), _ctypes.byref(at), None
        )
        if not self._address:
            raise BadPattern(_reason(error.value), pattern, at.value)
        self.groups = self._number(_CAPTURECOUNT)
        self.names = self._names()
        self._data = _SHARED if self.groups < 64 else _Data(self.groups)

    def __del__(self) -> None:
        if self._address:
            self._free(self._address)

    def find(self, subject: bytes, start: int = 0, options: int = 0) -> list[int] | None:
        """Start and end of the match and of each group, from START on; -1 of a group not in it.

        Raises BadPattern when the library gives up, which it does after 10 million steps.
        """
        found = _match(
            self._address, subject, len(subject), start, options, self._data.address, None
        )
        if found < 0:
            if found == _NO_MATCH:
                return None
            raise BadPattern(_reason(found), self._pattern)
        size = len(subject)
        bounds = self._data.bounds[: 2 * self.groups + 2]
        return [at if at <= size else -1 for at in bounds]

    def _number(self, what: int) -> int:
        value = _UINT32()
        _info(self._address, what, _ctypes.byref(value))
        return int(value.value)

    def _names(self) -> dict[str, int]:
        """The numbers of the named groups. A table entry is two octets of number, then the name."""
        count = self._number(_NAMECOUNT)
        if not count:
            return {}
        size, table = self._number(_NAMEENTRYSIZE), _POINTER()
        _info(self._address, _NAMETABLE, _ctypes.byref(table))
        octets = bytes((_CHAR * (count * size)).from_address(table.value)[:])
        entries = [octets[at : at + size] for at in range(0, len(octets), size)]
        return {
            entry[2:].rstrip(b"\0").decode(): int.from_bytes(entry[:2], "big") for entry in entries
        }

"""Whether the functions that count are still those that they were before a trainer's code ran."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from operator import attrgetter, is_, itemgetter
from typing import Any

_code = attrgetter("__code__")


class Kept:
    """The functions of some modules and of their classes, as they are when it is made."""

    def __init__(self, *modules: types.ModuleType) -> None:
        """Learn them. It is asked before every pass, so it compares and does nothing else."""
        self._spaces: list[tuple[Callable[[Any], Any], Mapping[str, Any], tuple[int, ...]]] = []
        self._classes: list[tuple[Mapping[str, Any], int]] = []
        functions: dict[int, types.FunctionType] = {}
        for module in modules:
            own = [one for one in vars(module).values() if _is_class_of(one, module)]
            self._classes += [(vars(one), len(vars(one))) for one in own]
            for space in (vars(module), *map(vars, own)):
                held = {
                    name: one
                    for name, one in space.items()
                    if isinstance(one, property)
                    or (isinstance(one, types.FunctionType | type) and _is_ours(one))
                }
                if len(held) > 1:  # of one alone `itemgetter` makes no tuple
                    self._spaces.append((itemgetter(*held), space, _ids(held.values())))
                found = (getattr(one, "fget", one) for one in held.values())
                functions |= {id(one): one for one in found if isinstance(one, types.FunctionType)}
        self._functions = tuple(functions.values())
        self._codes = tuple(map(_code, self._functions))

    def same(self) -> bool:
        """Return whether all of them are in their places, and their code is theirs."""
        try:
            return (
                all(_ids(get(space)) == ids for get, space, ids in self._spaces)
                and all(len(space) == size for space, size in self._classes)
                and all(map(is_, map(_code, self._functions), self._codes))
            )
        except KeyError:
            return False


def _is_ours(one: object) -> bool:
    return getattr(one, "__module__", "").startswith("harness.")


def _is_class_of(one: object, module: types.ModuleType) -> bool:
    return isinstance(one, type) and one.__module__ == module.__name__


def _ids(several: Any) -> tuple[int, ...]:
    return tuple(map(id, several))

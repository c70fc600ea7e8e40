"""Whether the harness in this process is still its own, after plug-ins were imported.

A plug-in is imported by the bench too, where nothing confines it, and could put functions of its
own in the place of those that count, judge and record. This finds one that does so in the open. It
is a look and no wall: code in the same process can hide what it changed.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from types import ModuleType
from typing import Any

from harness.errors import PluginError

PACKAGE = "harness"


def check_whole(plugins: Collection[str]) -> None:
    """Refuse to go on where a part of the harness is one of a plug-in.

    Args:
        plugins: Names of the modules and packages of plug-ins.

    Raises:
        PluginError: Naming the part and the plug-in's module.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE and isinstance(module, ModuleType):
            for part, value in _parts(module):
                made = _module_of(value)
                if made.partition(".")[0] in plugins:
                    raise PluginError(
                        f"{made} put something of its own in the place of {name}.{part}; plug-ins"
                        " extend the harness by hooks and change nothing of it: remove that plug-in"
                    )


def _parts(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield what a module holds, and what the classes that it defines hold, by name."""
    for name, value in list(vars(module).items()):
        yield name, value
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from ((f"{name}.{inner}", each) for inner, each in list(vars(value).items()))


def _module_of(value: Any) -> str:
    """Return the module whose code a function, method, property or class is; empty for others."""
    value = getattr(value, "fget", None) or getattr(value, "func", value)
    value = getattr(value, "__func__", value)
    if not callable(value) or isinstance(value, ModuleType):
        return ""
    space = getattr(value, "__globals__", {})  # a decorator may give a function another's name
    return str(space.get("__name__") or getattr(value, "__module__", "") or "")

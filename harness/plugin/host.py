"""Loading plug-ins: only those that are named, one by one; one that is broken is one line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from harness.errors import PluginError, UsageError, did_you_mean, one_line
from harness.plugin import hookspecs
from harness.plugin.whole import check_whole
from harness.tasks.source import Place

if TYPE_CHECKING:
    from harness.plugin.executor import ExecutorOffer
    from harness.plugin.trainer import Trainer
    from harness.tasks.task import Task

GROUP = "harness"


@dataclass(frozen=True)
class Plugin:
    """A loaded plug-in and where it came from."""

    name: str  # of its entry point
    module: ModuleType
    distribution: str  # the package that installed it
    version: str  # of that package; `unknown` where it gives none

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """The plug-in's module or package, and those of other plug-ins that it is made from.

        From these it imports something at the top of its modules, as `hybrid` imports `rl`, and
        `kd` imports `sft`.
        """
        announced = {point.module for point in importlib.metadata.entry_points(group=GROUP)}
        own = self.module.__name__
        used = set()
        for name, module in list(sys.modules.items()):
            if name == own or name.startswith(f"{own}."):
                for value in vars(module).values():
                    attribute = "__name__" if isinstance(value, ModuleType) else "__module__"
                    used.add(str(getattr(value, attribute, "")).partition(".")[0])
        return (own, *sorted((used & announced) - {own}))

    @cached_property
    def source_sha256(self) -> str:
        """A sha256 over the plug-in's source: every file of its `modules`, data files too."""
        sha = hashlib.sha256()
        for name in self.modules:
            path = Path(sys.modules[name].__file__ or "")
            files = [path]
            if path.name == "__init__.py":
                whole = (each for each in path.parent.rglob("*") if each.is_file())
                files = sorted(each for each in whole if "__pycache__" not in each.parts)
            for file in files:
                sha.update(file.name.encode() + b"\0" + file.read_bytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class Offer:
    """A trainer together with the plug-in that offers it."""

    trainer: Trainer
    plugin: Plugin


class Host:
    """The pluggy host. Nothing is imported until it is named; for its arguments see `Place`."""

    def __init__(self, *, data_dir: Path | None = None, download: bool = True) -> None:
        self.place = Place(data_dir, download)
        self._manager = pluggy.PluginManager("harness")
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, Plugin] = {}
        self.hook = self._manager.hook

    @cached_property
    def _entry_points(self) -> dict[str, list[importlib.metadata.EntryPoint]]:
        found: dict[str, list[importlib.metadata.EntryPoint]] = {}
        for point in importlib.metadata.entry_points(group=GROUP):
            # an editable install and its sources may announce the same distribution twice
            known = found.setdefault(point.name, [])
            if _distribution(point) not in map(_distribution, known):
                known.append(point)
        return dict(sorted(found.items()))

    @property
    def names(self) -> list[str]:
        return list(self._entry_points)

    def load(self, name: str) -> Plugin:
        """Import and register one plug-in, or raise `PluginError`."""
        if name in self._loaded:
            return self._loaded[name]
        points = self._entry_points.get(name)
        if not points:
            raise PluginError(f"no plug-in {name!r}; {did_you_mean(name, self.names)}")
        if len(points) > 1:
            claimants = " and ".join(sorted(_distribution(point) for point in points))
            raise PluginError(f"plug-in {name!r} is claimed by {claimants}; uninstall one of them")
        point = points[0]
        distribution = _distribution(point)
        try:
            module = point.load()
        except Exception as error:  # a plug-in's module may raise anything
            raise PluginError(
                f"plug-in {name!r} of {distribution} cannot be imported: {_line(error)}"
            ) from error
        try:
            self._manager.register(module, name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(name=name)
            reason = " ".join(str(error).split())
            if unknown := re.match(r"unknown hook '(\w+)'", reason):
                hooks = [each for each in vars(hookspecs) if each.startswith("harness_")]
                reason = f"no hook {unknown[1]!r}; {did_you_mean(unknown[1], hooks)}"
            raise PluginError(f"plug-in {name!r} of {distribution}: {reason}") from None
        version = point.dist.version if point.dist else "unknown"
        self._loaded[name] = Plugin(name, module, distribution, version)
        return self._loaded[name]

    def check_whole(self) -> None:
        """Refuse to go on where a loaded plug-in put its own code in the harness's place."""
        check_whole({each.module.__name__.partition(".")[0] for each in self._loaded.values()})

    def load_all(self) -> dict[str, PluginError]:
        """Load every plug-in that loads; return the errors of the others by name."""
        errors = {}
        for name in self.names:
            try:
                self.load(name)
            except PluginError as error:
                errors[name] = error
        return errors

    def _results(self, hook: str) -> Iterator[tuple[Plugin, Any]]:
        """Yield what each loaded plug-in returns for a collecting hook, in order of loading."""
        for name, plugin in self._loaded.items():
            for implementation in getattr(self.hook, hook).get_hookimpls():
                if implementation.plugin_name != name:
                    continue
                try:
                    values = list(implementation.function())
                except Exception as error:
                    raise PluginError(
                        f"plug-in {name!r} of {plugin.distribution}: {hook} failed: {_line(error)}"
                    ) from error
                yield from ((plugin, value) for value in values)

    def hooks(self, name: str) -> list[str]:
        callers = self._manager.get_hookcallers(self._loaded[name].module) or []
        return sorted(caller.name for caller in callers)

    def observe(self, hook: str, **arguments: Any) -> list[str]:
        """Call an observing hook; return a line for each implementation that raised."""
        errors = []
        for implementation in getattr(self.hook, hook).get_hookimpls():
            given = {name: arguments[name] for name in implementation.argnames}
            try:
                implementation.function(**given)
            except Exception as error:
                name = implementation.plugin_name
                errors.append(f"plug-in {name!r}: {hook} failed: {_line(error)}")
        return errors

    def trainers(self) -> dict[str, Offer]:
        """Return the trainers of all loaded plug-ins by name."""
        offers: dict[str, Offer] = {}
        for plugin, trainer in self._results("harness_trainers"):
            if trainer.name in offers:
                raise PluginError(
                    f"trainer {trainer.name!r} is offered by plug-ins"
                    f" {offers[trainer.name].plugin.name!r} and {plugin.name!r}"
                )
            allowed = trainer.name.split("-")[0] == plugin.name.split("-")[0] or trainer.chain
            if not allowed or (trainer.train is None) == (not trainer.chain):
                raise PluginError(
                    f"plug-in {plugin.name!r}: trainer {trainer.name!r} must be named"
                    f" {plugin.name!r} or '{plugin.name}-<variant>' and have either train or chain"
                )
            offers[trainer.name] = Offer(trainer, plugin)
        return offers

    def tasks(self) -> dict[str, Task]:
        """Return the tasks of all loaded plug-ins by name, bound to the folder of their data."""
        tasks = {}
        for plugin, task in self._results("harness_tasks"):
            if task.name in tasks:
                raise PluginError(f"task {task.name!r} of plug-in {plugin.name!r} exists already")
            tasks[task.name] = task.at(self.place, plugin.name)
        return tasks

    def task(self, name: str) -> Task:
        """Return one task, of whichever plug-in that loads offers it.

        No plug-in of others is imported for a task of this project's: whoever judges or publishes
        results may have one installed, and what is imported could change what judges them.
        """
        ours = [each for each in self.names if each not in self._loaded and self._is_ours(each)]
        theirs = [each for each in self.names if each not in ours]
        for names in ((), ours, theirs):
            for each in names:
                with contextlib.suppress(PluginError):
                    self.load(each)
            if name in (tasks := self.tasks()):
                return tasks[name]
        raise UsageError(f"no task {name!r}; {did_you_mean(name, tasks)}")

    def _is_ours(self, name: str) -> bool:
        return all(_distribution(point) == "srlm-harness" for point in self._entry_points[name])

    def boards(self) -> dict[str, Path]:
        """Return the board files of all loaded plug-ins by their file names."""
        found = (Path(path) for _, path in self._results("harness_boards"))
        return {path.stem: path for path in found}

    def executors(self, plugin: str = "") -> dict[str, ExecutorOffer]:
        """Return the executors of all loaded plug-ins, or of one, by name."""
        offers: dict[str, ExecutorOffer] = {}
        for owner, offer in self._results("harness_executors"):
            if offer.name in offers:
                raise PluginError(f"executor {offer.name!r} is offered by two plug-ins")
            if plugin in ("", owner.name):
                offers[offer.name] = offer
        return offers

    def owner(self, name: str) -> str | None:
        """Return the plug-in that a trainer, task or board belongs to by its name, or None."""
        owners = [each for each in self.names if re.match(rf"{re.escape(each)}([-_]|\Z)", name)]
        return max(owners, key=len, default=None)

    def offers(self, term: str) -> list[str]:
        """Return the trainers or chains that one term of `--plugins` names.

        `kd-on-policy` and `sft+rl` name one, `hybrid` every trainer of a plug-in that has none of
        that name, `all` every trainer of every plug-in that loads.
        """
        if term == "all":
            self.load_all()
            return list(self.trainers())
        if "+" in term:
            parts = term.split("+")
            if "" in parts:
                right = "+".join(filter(None, parts)) or "sft+rl"
                raise UsageError(f"{term!r}: each + stands between two trainers; write {right}")
            for part in parts:
                self.trainer(part)
            return [term]
        owner = self.owner(term)
        if owner is None:
            self.load_all()
            known = {*self.names, *self.trainers()}
            raise PluginError(f"no plug-in or trainer {term!r}; {did_you_mean(term, known)}")
        self.load(owner)
        offers = self.trainers()
        if term in offers:
            return [term]
        mine = [name for name, offer in offers.items() if offer.plugin.name == owner]
        if term == owner and mine:
            return mine
        if not mine:
            raise UsageError(f"plug-in {owner!r} offers no trainer")
        raise PluginError(f"no trainer {term!r}; {did_you_mean(term, mine)}")

    def trainer(self, name: str) -> Offer:
        """Return one trainer that is not a chain, loading its plug-in."""
        for offered in self.offers(name):
            offer = self.trainers().get(offered)
            if offer and offered == name and not offer.trainer.chain:
                return offer
        raise UsageError(f"{name!r} is not a single trainer; known: {', '.join(self.offers(name))}")


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else "an unnamed distribution"

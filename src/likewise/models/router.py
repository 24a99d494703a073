"""The description of a Router: different modules for different tasks, such as queries and documents."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from likewise.checkpoint.values import listed, shortened
from likewise.checkpoint.write import Layout, ModuleFiles, type_name

if TYPE_CHECKING:
    from likewise.models.chain import Module

RouteKey = tuple[str | None, str | tuple[str, ...] | None]  # a task and a kind of input; None is any


class Router:
    """Sends texts of each task through modules of its own: ``encode(…, task="query")``, ``encode_query``, ….

    ``sub_modules`` are the modules of each route; ``route_mappings`` says which route a (task, "text") takes where the
    task has another name. Without a task texts take ``default_route``, or the first route where ``allow_empty_key``.

    Raises:
        ValueError: There is no route, or a name is none of the routes.
    """

    def __init__(
        self,
        sub_modules: Mapping[str, Sequence[Module]],
        default_route: str | None = None,
        allow_empty_key: bool = True,
        route_mappings: Mapping[RouteKey, str] | None = None,
    ):
        self.routes: dict[str, list[Any]] = {
            name: list(part) if isinstance(part, list | tuple) else [part] for name, part in sub_modules.items()
        }
        if not self.routes:
            raise ValueError("a Router needs at least one route, such as {'query': […], 'document': […]}")
        self.mappings = dict(route_mappings or {})
        for name in [*self.mappings.values(), *([] if default_route is None else [default_route])]:
            if name not in self.routes:
                raise ValueError(f"the route {shortened(name)} is none of {listed(self.routes)}")
        self.allow_empty_key = bool(allow_empty_key)
        self.default_route = next(iter(self.routes)) if default_route is None and allow_empty_key else default_route

    @classmethod
    def for_query_document(
        cls,
        query_modules: Sequence[Module],
        document_modules: Sequence[Module],
        default_route: str | None = "document",
        allow_empty_key: bool = True,
    ) -> Router:
        """A Router with the two routes that ``encode_query`` and ``encode_document`` take."""
        return cls({"query": query_modules, "document": document_modules}, default_route, allow_empty_key)

    def __repr__(self) -> str:
        routes = (f"{name}: {' + '.join(map(repr, modules))}" for name, modules in self.routes.items())
        return f"Router({'; '.join(routes)}; default {self.default_route})"

    def route_for(self, task: str | None) -> str:
        """The route that a text of ``task`` takes.

        Raises:
            ValueError: There is none.
        """
        for key in ((task, "text"), (task, None), (None, "text"), (None, None)):
            if key in self.mappings:
                return self.mappings[key]
        if task is not None and task in self.routes:
            return task
        if task is None and "text" in self.routes:
            return "text"
        if task is not None or self.default_route is None:
            tasks = [*self.routes, *(str(name) for name, _ in self.mappings if name is not None)]
            raise ValueError(f"the model has no route for task={task!r}; give task= one of {listed(tasks)}")
        return self.default_route

    def files(self, files_of: Callable[[Module], ModuleFiles], layout: Layout) -> ModuleFiles:
        """What the module's folder holds; ``files_of`` tells what those of its modules hold."""
        names: dict[int, str] = {}
        parts: dict[str, ModuleFiles] = {}
        for route, modules in self.routes.items():
            for index, module in enumerate(modules):
                if id(module) not in names:  # one that several routes share is written once
                    names[id(module)] = name = f"{route}_{index}_{type(module).__name__}"
                    parts[name] = files_of(module)
        structure = {route: [names[id(module)] for module in modules] for route, modules in self.routes.items()}
        settings = {
            "types": {name: type_name(part.kind, layout) for name, part in parts.items()},
            "structure": structure,
        }
        known: dict[str, Any] = {"default_route": self.default_route, "allow_empty_key": self.allow_empty_key}
        if self.mappings:  # versions that do not know the key refuse it
            known["route_mappings"] = {str(key): route for key, route in self.mappings.items()}
        json = {"router_config.json": settings | {"parameters": known}}
        if layout == "legacy":  # versions before 5.0 read this file and know this parameter only
            json["config.json"] = settings | {"parameters": {"allow_empty_key": self.allow_empty_key}}
        return ModuleFiles("Router", json, parts=parts)


Asym = Router  # its name before sentence-transformers 5.0


def read_router(settings: Mapping[str, Any], modules: Mapping[str, Module]) -> Router:
    """The Router that ``settings``, its JSON file, describes, of ``modules`` by their folders' names.

    Raises:
        ValueError: The settings are not right.
    """
    structure = settings.get("structure")
    if not isinstance(structure, dict) or not all(isinstance(names, list) and names for names in structure.values()):
        raise ValueError(f"'structure' must hold the modules of each route, not {shortened(structure)}")
    for name in (name for names in structure.values() for name in names):
        if not isinstance(name, str) or name not in modules:
            raise ValueError(f"'structure' names the module {shortened(name)}, which 'types' does not")
    parameters = settings.get("parameters", {})
    if not isinstance(parameters, dict):
        raise ValueError(f"'parameters' must be an object, not {shortened(parameters)}")
    mappings = parameters.get("route_mappings") or {}
    if not isinstance(mappings, dict):
        raise ValueError(f"'route_mappings' must be an object, not {shortened(mappings)}")
    return Router(
        {route: [modules[name] for name in names] for route, names in structure.items()},
        parameters.get("default_route"),
        bool(parameters.get("allow_empty_key", True)),
        {_route_key(key): route for key, route in mappings.items()},
    )


def _route_key(text: str) -> RouteKey:
    """The key that the incumbent writes as a Python tuple: ``"('query', 'text')"``."""
    try:
        key = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        key = None
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], str | None):
        kind = key[1]
        if isinstance(kind, str | None) or (isinstance(kind, tuple) and all(isinstance(part, str) for part in kind)):
            return key[0], kind
    raise ValueError(f"a key of 'route_mappings' must be a task and a kind of input, not {shortened(text)}")

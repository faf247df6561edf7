"""The modules and what each may include (docs/architecture.md)."""

# Who may include whom. Siblings never include each other.
ARROWS = {
    "text": set(),
    "core": {"text"},
    "policies": {"text", "core"},
    "incidents": {"text"},
    "registry": {"text", "core", "policies"},
    "transport": {"text", "core", "policies"},
    "storage": {"text", "core", "policies", "registry", "incidents"},
    "notifications": {"text", "core", "policies", "registry", "transport", "incidents"},
    "middleware": {"text", "core", "policies", "registry", "transport"},
}
ARROWS["service"] = set(ARROWS) | {"service"}
ARROWS["testkit"] = {"text", "core", "policies"}  # after all others: it is for tests, and no module depends on it

# core is three modules, on a shelf each; the others are a folder at the top.
SHELVES = {"core/text": "text", "core/breaker": "core", "core/policies": "policies"}


def module_of(path):
    """The module that a file belongs to, and the file's path inside the module."""
    for shelf, module in SHELVES.items():
        if path.is_relative_to(shelf):
            return module, path.relative_to(shelf)
    return path.parts[0], path.relative_to(path.parts[0])


def is_product(path):
    """Whether a file is code that a module installs or compiles."""
    module, inner = module_of(path)
    return module in ARROWS and inner.parts[:1] in (("include",), ("src",))

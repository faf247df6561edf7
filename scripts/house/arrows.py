"""Arrows go down only.

 1. A module includes only the modules below it.
 2. Third-party headers stay out of public headers; core, its shelves and testkit need nothing but the standard library.
 3. A public header includes with <…>; nothing includes a file by a way out of its own folder.
"""

import re

from house.modules import ARROWS, module_of

# Public headers that are themselves an adapter to a library, and so include it.
ADAPTERS = {
    "registry/include/fusebox/registry/prometheus.hpp": re.compile(r"^prometheus/\w+\.h$"),
    "middleware/include/": re.compile(r"^httplib\.h$"),
}
STANDARD_LIBRARY_ONLY = {"text", "core", "policies", "testkit"}

# System and compiler headers that are not third-party.
SYSTEM = re.compile(
    r"^(sys|arpa|netinet|net|linux)/\w+\.h$"
    r"|^(unistd|fcntl|pthread|sched|poll|signal|time|errno|netdb|dlfcn|syslog|strings)\.h$"
    r"|^(immintrin|x86intrin|cpuid|cxxabi)\.h$"
)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_adapter(path, header):
    return any(str(path).startswith(place) and library.match(header) for place, library in ADAPTERS.items())


def check_include(tree, path, number, quote, name):
    module, inner = module_of(path)
    public = inner.parts[:1] == ("include",)
    inside = re.match(r"fusebox/(\w+)/", name)
    if inside:
        target = inside.group(1)
        if target != module and target not in ARROWS[module]:
            tree.problem(path, number, f"{module} must not include {target} (arrows go down only)")
        if quote == '"' and public:
            tree.problem(path, number, "a public header includes fusebox headers with <>")
        return
    if quote == '"':
        if public:
            tree.problem(path, number, "a public header includes only <…>: a private header would not be installed")
        elif ".." in name.split("/"):
            tree.problem(path, number, "no way out of the module's own folder: include its public header")
        return
    third_party = "." in name and not SYSTEM.match(name)
    if not third_party:
        return
    if module in STANDARD_LIBRARY_ONLY:
        tree.problem(path, number, f"{module} needs nothing but the standard library, not {name}")
    elif public and not is_adapter(path, name):
        tree.problem(path, number, f"third-party header {name} in a public header")


def check(tree):
    for path in tree.files(".cpp", ".hpp", ".h", ".cc"):
        if module_of(path)[0] not in ARROWS:
            continue
        for number, line in enumerate(tree.lines(path), 1):
            include = INCLUDE.match(line)
            if include:
                check_include(tree, path, number, *include.groups())

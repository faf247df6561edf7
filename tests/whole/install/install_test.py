"""Installs the built tree into an empty prefix, then builds and runs a separate project against it.

The consumer is built once per combination of components that somebody is likely to ask for; `core` alone must work
where no other library can be found.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
options = None


def run(*command, **more):
    finished = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if finished.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{finished.stdout}{finished.stderr}")
    return finished.stdout


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="fusebox-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = cls.folder / "prefix"
        run(options.cmake, "--install", os.environ["FUSEBOX_BUILD_DIR"], "--prefix", cls.prefix)

    def configure(self, components, *arguments, prefix=None, env=None):
        prefix = prefix or self.prefix
        build = self.folder / f"build-{prefix.name}-{'-'.join(components)}"
        run(
            options.cmake, "-S", HERE / "consumer", "-B", build, "-G", options.generator,
            f"-DCMAKE_CXX_COMPILER={options.compiler}", f"-DCMAKE_PREFIX_PATH={prefix}",
            "-DCOMPONENTS=" + ";".join(components), *arguments, env=env,
        )  # fmt: skip
        return build

    def build_and_run(self, components, *arguments, prefix=None, env=None):
        build = self.configure(components, *arguments, prefix=prefix, env=env)
        run(options.cmake, "--build", build)
        self.assertIn("admitted", run(build / "consumer"))

    def test_core_and_testkit_need_no_other_library(self):
        absent = ["CURL", "prometheus-cpp", "tomlplusplus", "OpenSSL", "nlohmann_json", "SQLite3", "PkgConfig"]
        for component in ("core", "testkit"):
            with self.subTest(component=component):
                self.build_and_run([component], *(f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in absent))

    def test_the_examples_are_a_project_of_their_own(self):
        if "registry" not in options.components:
            return
        build = self.folder / "build-examples"
        run(
            options.cmake, "-S", os.environ["FUSEBOX_SOURCE_DIR"] + "/examples", "-B", build, "-G", options.generator,
            f"-DCMAKE_CXX_COMPILER={options.compiler}", f"-DCMAKE_PREFIX_PATH={self.prefix}",
        )  # fmt: skip
        run(options.cmake, "--build", build, "--target", "core_basic_example")
        run("ctest", "--test-dir", build, "--no-tests=error", "-R", "core_basic_example_test")

    def test_a_component_brings_those_below_it(self):
        if "registry" not in options.components:
            return
        self.build_and_run(["registry"])
        if "registry_prometheus" in options.components:
            self.build_and_run(["registry_prometheus"])

    def test_what_is_below_the_metrics_adapter_needs_no_prometheus_cpp(self):
        if "registry" not in options.components:
            return
        # Neither of the two ways by which it is looked for.
        nothing = self.folder / "no-prometheus"
        nothing.mkdir()
        hidden_module = "Name: hidden\nDescription: hidden\nVersion: 0\nRequires: none-such\n"
        (nothing / "prometheus-cpp-core.pc").write_text(hidden_module)
        hidden = {**os.environ, "PKG_CONFIG_PATH": str(nothing)}
        absent = "-DCMAKE_DISABLE_FIND_PACKAGE_prometheus-cpp=ON"
        self.build_and_run(["core", "policies", "registry"], absent, env=hidden)
        if "registry_prometheus" not in options.components:
            return
        with self.assertRaisesRegex(AssertionError, r"needs 'prometheus'\s+\(Debian package:\s+prometheus-cpp-dev\)"):
            self.configure(["core", "registry_prometheus"], absent, env=hidden)

    def test_all_components_can_be_asked_for_at_once(self):
        self.build_and_run(["core", *sorted(set(options.components) - {"core"})])

    def test_shared_libraries_work_in_a_project_that_hides_its_symbols(self):
        hidden = ("-DCMAKE_CXX_VISIBILITY_PRESET=hidden", "-DCMAKE_VISIBILITY_INLINES_HIDDEN=ON")
        build = self.folder / "build-shared"
        prefix = self.folder / "shared"
        run(
            options.cmake, "-S", os.environ["FUSEBOX_SOURCE_DIR"], "-B", build, "-G", options.generator,
            f"-DCMAKE_CXX_COMPILER={options.compiler}", "-DBUILD_SHARED_LIBS=ON", "-DFUSEBOX_ONLY_MODULES=core",
            "-DFUSEBOX_BUILD_TESTS=OFF", "-DFUSEBOX_BUILD_EXAMPLES=OFF", *hidden,
        )  # fmt: skip
        run(options.cmake, "--build", build)
        run(options.cmake, "--install", build, "--prefix", prefix)
        self.assertTrue(list(prefix.glob("lib*/**/libfusebox_core.so.*.*")))
        self.build_and_run(["core"], *hidden, prefix=prefix)

    def test_every_unknown_component_is_named_with_what_may_be_meant(self):
        with self.assertRaises(AssertionError) as refused:
            self.configure(["core", "flux_capacitor", "testkid", "breaker"])
        said = " ".join(str(refused.exception).split())
        self.assertRegex(said, "without the component 'flux_capacitor' fusebox was")
        self.assertIn("without the component 'testkid'; did you mean 'testkit'?", said)
        self.assertIn("without the component 'breaker'; did you mean 'core'?", said)
        self.assertIn(f"This copy has the components {', '.join(options.components)}", said)

    def test_an_operation_that_must_be_awaited_is_refused_with_one_sentence(self):
        said = self.refused(["-std=c++23"], """
            #include <coroutine>
            #include <fusebox/policies/breaker_policy.hpp>
            #include <fusebox/policies/pipeline.hpp>
            using Awaitable = std::suspend_never;
            void use(fusebox::CircuitBreaker& breaker, const fusebox::BreakerPolicy& policy) {
                (void)breaker.call([] { return Awaitable{}; });
                breaker.run([] { return Awaitable{}; });
                (void)fusebox::call_with(policy, [] { return Awaitable{}; });
                (void)fusebox::Pipeline{policy}.call([] { return std::expected<Awaitable, int>{}; });
            }""")
        self.assertEqual(said.count("use fusebox::co_call of <fusebox/policies/coroutine.hpp>"), 4, said)

    def test_an_older_standard_is_refused_with_one_sentence_first(self):
        for header in ("core/circuit_breaker.hpp", "core/presets.hpp", "policies/policy.hpp"):
            with self.subTest(header=header):
                said = self.refused(["-std=c++20"], f"#include <fusebox/{header}>")
                first = next(line for line in said.splitlines() if "error:" in line)
                self.assertIn("fusebox needs C++23 with std::expected: GCC 12.2 or newer, or Clang 19", first)

    def refused(self, flags, text):
        """What the compiler says to `text`, which it must not accept."""
        source = self.folder / "refused.cpp"
        source.write_text(text)
        command = [options.compiler, *flags, "-fsyntax-only", f"-I{self.prefix / 'include'}", source]
        finished = subprocess.run(command, capture_output=True, text=True)
        self.assertNotEqual(finished.returncode, 0, "the compiler accepts it")
        return finished.stderr

    def test_the_pages_that_headers_name_are_installed(self):
        pages = self.prefix / "share" / "doc" / "fusebox"
        self.assertIn("Apache License", (pages / "LICENSE").read_text())
        named = set()
        for header in (self.prefix / "include").rglob("*.hpp"):
            named |= set(re.findall(r"\bdocs/[\w/-]+\.\w+", header.read_text()))
        self.assertIn("docs/policies.md", named)
        for page in sorted(named):
            with self.subTest(page=page):
                self.assertTrue((pages / page).is_file())

    def test_the_installed_pages_lead_to_each_other(self):
        pages = self.prefix / "share" / "doc" / "fusebox"
        for page in pages.rglob("*.md"):
            for target in re.findall(r"\]\(([^)\s:#]+\.md)", page.read_text()):
                with self.subTest(page=str(page.relative_to(pages)), link=target):
                    self.assertTrue((page.parent / target).is_file())

    def test_no_private_header_is_installed(self):
        roots = sorted(path.name for path in (self.prefix / "include").iterdir())
        self.assertEqual(roots, ["fusebox"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("cmake", "generator", "compiler", "components"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    options.components = options.components.split(",")
    unittest.main(argv=[__file__, "-v"])

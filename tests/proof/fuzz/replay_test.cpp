// The texts that fuzzing began with or has found, once more.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "proof/fuzz/targets.hpp"
#include "support/catch.hpp"

namespace fusebox::test {
namespace {

/// Each file of a corpus, whole and cut at every tenth of it.
template <class Target>
void replay(const char* corpus, Target target) {
    const char* root = std::getenv("FUSEBOX_SOURCE_DIR");
    REQUIRE(root != nullptr);
    std::size_t files = 0;
    for (const auto& file :
         std::filesystem::directory_iterator{std::filesystem::path{root} / "tests/proof/fuzz/corpus" / corpus}) {
        std::ostringstream content;
        content << std::ifstream{file.path(), std::ios::binary}.rdbuf();
        const auto text = content.str();
        INFO(file.path());
        for (std::size_t tenths = 0; tenths <= 10; ++tenths) {
            INFO(tenths << " tenths of it");
            CHECK_NOTHROW(target(std::string_view{text}.substr(0, text.size() * tenths / 10)));
        }
        ++files;
    }
    CHECK(files > 5);
}

}  // namespace

TEST_CASE("R62: no configuration text breaks a promise") { replay("toml", fuzz::toml); }

TEST_CASE("R52: no saved state breaks a promise") { replay("state", fuzz::state); }

TEST_CASE("no request breaks a promise") { replay("http", fuzz::http); }

}  // namespace fusebox::test

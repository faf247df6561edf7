#include <cstdlib>

#include "support/catch.hpp"

namespace fusebox::test {

TEST_CASE("the house tells every test where the programs and the sources are") {
    for (const char* name : {"FUSEBOX_BIN_DIR", "FUSEBOX_BUILD_DIR", "FUSEBOX_SOURCE_DIR"}) {
        CAPTURE(name);
        CHECK(std::getenv(name) != nullptr);
    }
}

}  // namespace fusebox::test

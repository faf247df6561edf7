// What is fuzzed: each takes any bytes, and throws Broken where a promise is broken.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace fusebox::test::fuzz {

class Broken : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

inline void promise(bool kept, const std::string& what) {
    if (!kept) throw Broken{what};
}

/// Configuration files (R62). A first line `# PATH` says which table is added as one more entry.
void toml(std::string_view text);
/// Saved breakers (R52), and breakers that go on from them.
void state(std::string_view text);
/// Heads of requests, and what stands behind them as a body in chunks.
void http(std::string_view text);

}  // namespace fusebox::test::fuzz

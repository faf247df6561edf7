// Texts from elsewhere, made fit for a terminal and for one line of a log.
#pragma once

#include <string>
#include <string_view>

namespace fusebox::text {

/// `text` with an escape in the place of everything that could steer a terminal, begin a line, or show characters in
/// another order than they are read in:
///   - control characters, those above ASCII among them, and the separators of lines and paragraphs: `\n`, `\r`, `\t`,
///     else `\u001b`
///   - the marks, embeddings and isolates of bidirectional text: `\u202e`
///   - bytes that are not UTF-8: `\xff`
/// All else stays as it is, backslashes too: the result is for reading, and is not read back. The escapes but the last
/// are those of JSON and TOML: a string of either, quotes included, keeps its value.
///
///     printable("a\x1b[31mb\n") == R"(a\u001b[31mb\n)"
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace fusebox::text

// What spreadsheets and data sets put around the pairs of a file: names of columns, and quotes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace regrad::example {

// Whether two sides of a first line name the columns: "source" and "target", "english" and
// "french", "text_en" and "text_fr". Words of the one kind and languages, two that differ.
bool is_header(std::string_view source, std::string_view target);

// What a field in quotes says, where those within it are doubled: a "b" of "a ""b""".
std::optional<std::string> unquoted(std::string_view field);

}  // namespace regrad::example

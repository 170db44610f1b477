// What every vocabulary holds, and how much one may hold: for its maker and its reader alike.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace regrad::example {

constexpr std::array<std::string_view, 4> special_tokens = {"<pad>", "<bos>", "<eos>", "<unk>"};
constexpr std::size_t max_ids = 1'000'000 + special_tokens.size();
constexpr std::size_t max_token_size = 1024;  // bytes

}  // namespace regrad::example

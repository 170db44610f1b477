#include <fmt/format.h>

#include "autograd/error.h"
#include "examples/text/vocabulary.h"
#include "examples/text/vocabulary_limits.h"

namespace regrad::example {
namespace {

constexpr std::string_view form_name = "regrad-vocabulary 1 ", merge_name = "merge\t";
constexpr std::string_view escape_names = "tnr\\", escape_meanings = "\t\n\r\\";

std::string escaped(std::string_view token) {
  std::string text;
  for (const char c : token) {
    const std::size_t which = escape_meanings.find(c);
    if (which != std::string_view::npos) text += '\\';
    text += which == std::string_view::npos ? c : escape_names[which];
  }
  return text;
}

[[noreturn]] void fail(std::size_t line, const std::string& what) {
  throw Error(fmt::format("vocabulary: line {}: {}", line, what));
}

std::string unescaped(std::string_view text, std::size_t line) {
  std::string token;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      if (escape_meanings.find(text[i]) != std::string_view::npos) {
        fail(line, "a tab or a carriage return stands without a backslash escape");
      }
      token += text[i];
      continue;
    }
    const std::size_t which =
        ++i < text.size() ? escape_names.find(text[i]) : std::string_view::npos;
    if (which == std::string_view::npos) {
      fail(line, "a backslash stands before neither t, n, r nor a backslash");
    }
    token += escape_meanings[which];
  }
  return token;
}

// Cuts the first line off text; the line's end must be there.
std::string_view next_line(std::string_view& text, std::size_t line) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) fail(line, "the text is cut off; expected a line end");
  const std::string_view result = text.substr(0, end);
  text.remove_prefix(end + 1);
  return result;
}

Tokeniser tokeniser_named(std::string_view line) {
  for (const Tokeniser tokeniser : {Tokeniser::character, Tokeniser::word, Tokeniser::bytepair}) {
    if (line == fmt::format("{}{}", form_name, name_of(tokeniser))) return tokeniser;
  }
  fail(1, fmt::format("expected \"{0}character\", \"{0}word\" or \"{0}bytepair\"", form_name));
}

void check_token(std::string_view token, std::size_t id, Tokeniser tokeniser, std::size_t line) {
  if (id < special_tokens.size()) {
    if (token != special_tokens[id]) fail(line, fmt::format("expected {}", special_tokens[id]));
    return;
  }
  if (id >= max_ids) fail(line, "more than a million tokens");
  if (token.empty()) fail(line, "the token is empty");
  if (token.size() > max_token_size) {
    fail(line, fmt::format("the token has {} bytes; at most {} are allowed", token.size(),
                           max_token_size));
  }
  std::size_t count = 0;
  for (std::size_t i = 0, length; i < token.size(); i += length, ++count) {
    length = code_point_length(token, i);
    if (length == 0) fail(line, "the token is not UTF-8");
  }
  if (tokeniser == Tokeniser::character && count != 1) {
    fail(line, fmt::format("the token has {} characters; expected 1", count));
  }
}

Merge read_merge(std::string_view line, std::size_t number) {
  line.remove_prefix(merge_name.size());
  const std::size_t tab = line.find('\t');
  if (tab == line.npos) fail(number, "expected \"merge\", a tab, a token, a tab and a token");
  return {unescaped(line.substr(0, tab), number), unescaped(line.substr(tab + 1), number)};
}

}  // namespace

std::string Vocabulary::to_string() const {
  std::string text = fmt::format("{}{}\n", form_name, name_of(tokeniser_));
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    text += fmt::format("{}\t{}\n", id, escaped(tokens_[id]));
  }
  for (const Merge& merge : merges_) {
    text += fmt::format("{}{}\t{}\n", merge_name, escaped(merge.left), escaped(merge.right));
  }
  return text;
}

Vocabulary Vocabulary::from_string(std::string_view text) {
  Vocabulary result(tokeniser_named(next_line(text, 1)));
  const bool has_merges = result.tokeniser_ == Tokeniser::bytepair;
  std::size_t id = 0;
  for (; !text.empty() && !(has_merges && text.starts_with(merge_name)); ++id) {
    const std::size_t number = id + 2;
    const std::string_view line = next_line(text, number);
    const std::string expected = fmt::format("{}\t", id);
    if (!line.starts_with(expected)) {
      fail(number, fmt::format("expected the token of id {} and a tab before it", id));
    }
    std::string token = unescaped(line.substr(expected.size()), number);
    check_token(token, id, result.tokeniser_, number);
    if (id < special_tokens.size()) continue;
    if (result.ids_.contains(token)) fail(number, "the token was there before");
    result.add(std::move(token));
  }
  if (id < special_tokens.size()) fail(id + 2, "a special token is missing");
  for (std::size_t number = id + 2; !text.empty(); ++number) {
    const std::string_view line = next_line(text, number);
    if (result.merges_.size() >= max_ids) fail(number, "more than a million merges");
    if (!line.starts_with(merge_name)) fail(number, "expected a merge after the merges before it");
    if (!result.add_merge(read_merge(line, number))) {
      fail(number, "expected a new pair of tokens above that make a token above");
    }
  }
  return result;
}

}  // namespace regrad::example

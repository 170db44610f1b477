#include "examples/text/fields.h"

#include <algorithm>
#include <vector>

namespace regrad::example {
namespace {

constexpr std::string_view column_names =
    " source target src tgt trg input output text sentence original reference translation "
    "question answer prompt response lang language english french german spanish italian "
    "portuguese dutch russian chinese japanese korean arabic hebrew hindi turkish polish "
    "swedish danish finnish norwegian czech greek ukrainian thai mandarin latin romanian "
    "hungarian vietnamese indonesian français deutsch español italiano português русский eng "
    "fra fre deu ger spa ita por nld rus zho cmn jpn kor ara heb hin tur pol en fr de es it "
    "pt nl ru zh ja ko ar he hi tr pl sv cs uk vi el 英文 中文 英语 汉语 法文 法语 日文 日语 韩文 "
    "德语 原文 译文 源 目标 "
    "问题 答案 ";

// Codes of languages that are words too: "it" is "es" in German.
constexpr std::string_view common_words = " it es he hi de el ";

bool is_one_of(std::string_view words, std::string_view name) {
  return words.find(" " + std::string(name) + " ") != words.npos;
}

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return small;
}

// Cut at spaces and at marks.
std::vector<std::string_view> pieces_of(std::string_view text) {
  constexpr std::string_view separators = " _-.:/()[]#";
  std::vector<std::string_view> pieces;
  for (size_t begin = 0; (begin = text.find_first_not_of(separators, begin)) != text.npos;) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

}  // namespace

bool is_header(std::string_view source, std::string_view target) {
  const std::string sides[] = {in_small_letters(source), in_small_letters(target)};
  if (sides[0] == sides[1]) return false;
  bool is_sure = false;
  for (const std::string& side : sides) {
    const std::vector<std::string_view> pieces = pieces_of(side);
    if (pieces.empty()) return false;
    for (const std::string_view piece : pieces) {
      if (!is_one_of(column_names, piece)) return false;
      is_sure = is_sure || !is_one_of(common_words, piece);
    }
  }
  return is_sure;
}

std::optional<std::string> unquoted(std::string_view field) {
  if (field.size() < 2 || field.front() != '"' || field.back() != '"') return std::nullopt;
  field = field.substr(1, field.size() - 2);
  std::string text;
  for (size_t i = 0; i < field.size(); ++i) {
    if (field[i] == '"' && (++i == field.size() || field[i] != '"')) return std::nullopt;
    text += field[i];
  }
  return text;
}

}  // namespace regrad::example

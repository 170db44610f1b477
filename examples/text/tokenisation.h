// How BLEU cuts texts into words: as sacrebleu does, under its names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace regrad::example {

enum class Tokenisation { mteval_13a, chinese, characters };

std::string_view name_of(Tokenisation tokenisation);  // 13a, zh, char

// What suits the script that most of the references is written in: zh for Chinese; char for
// Japanese, Thai and other scripts without spaces between words; 13a for all else. A word of a
// script with spaces counts as much as a character of one without.
Tokenisation suitable_tokenisation(const std::vector<std::vector<std::string>>& references);

// The words of text, one space between them. 13a is mteval-v13a's; zh, after Shujian Huang, takes
// each Chinese character and mark for a word, and treats what is between them as 13a does. (For
// char every character that is no space is a word.)
std::string tokenised_13a(std::string text);
std::string tokenised_zh(const std::string& text);

// The words of text, cut at what Python takes for a space, with between_words between them.
std::string with_words_only(std::string_view text, std::string_view between_words);

}  // namespace regrad::example

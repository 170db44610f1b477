// Text cut into words and put together again, in any script, with what each language writes around
// its punctuation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace regrad::example {

// Text is cut at spaces; punctuation and each Chinese or Japanese character stand alone. A hyphen
// begins a word ("est", "-ce") and an elided word keeps its apostrophe ("l'", "eau"). A space where
// English writes none, as the one before a French "!", stays with its punctuation. The words are
// pieces of text in its order; nothing but spaces lies between them. Throws Error where text is not
// UTF-8.
std::vector<std::string_view> cut_words(std::string_view text);

// Whether no space is written between two words. `unknown` stands for a word of letters.
bool are_glued(std::string_view left, std::string_view right, std::string_view unknown);

// Whether a word holds a letter, of any script.
bool has_letter(std::string_view word);

}  // namespace regrad::example

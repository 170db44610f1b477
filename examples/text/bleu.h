// BLEU (Papineni et al., ACL 2002), equal to what sacrebleu computes.
#pragma once

#include <string>
#include <vector>

#include "examples/text/ngrams.h"
#include "examples/text/tokenisation.h"

namespace regrad::example {

// Of a whole corpus, 0 to 100, with sacrebleu's defaults (Post, "A call for clarity in reporting
// BLEU scores", WMT 2018): n-grams of 1 to 4 words, letters as they are, exponential smoothing, the
// reference length nearest to the hypothesis. Throws Error as check_references() does.
struct Bleu {
  double score = 0;
  Tokenisation tokenisation = Tokenisation::mteval_13a;
  bool applies = false;  // some hypothesis has four words; else the score is 0 and says nothing
};
Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                 Tokenisation tokenisation);

// The score to two decimals, or why there is none.
std::string bleu_text(const Bleu& bleu);

}  // namespace regrad::example

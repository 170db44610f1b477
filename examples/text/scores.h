// How good translations are: the figures that the field reports, equal to what sacrebleu computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/tensor.h"
#include "examples/text/tokenisation.h"

namespace regrad::example {

using References = std::vector<std::vector<std::string>>;  // of each hypothesis, at least one

// BLEU of a whole corpus, 0 to 100 (Papineni et al., ACL 2002), with sacrebleu's defaults (Post,
// "A call for clarity in reporting BLEU scores", WMT 2018): n-grams of 1 to 4 words, letters as they
// are, exponential smoothing, the reference length nearest to the hypothesis.
// Throws Error where there are not as many lists of references as hypotheses, or an empty one.
struct Bleu {
  double score = 0;
  Tokenisation tokenisation = Tokenisation::mteval_13a;
  bool applies = false;  // some hypothesis has four words; else the score is 0 and says nothing
};
Bleu corpus_bleu(const std::vector<std::string>& hypotheses, const References& references,
                 Tokenisation tokenisation);
double bleu(const std::vector<std::string>& hypotheses, const References& references,
            Tokenisation tokenisation = Tokenisation::mteval_13a);

// The score to two decimals, or why there is none.
std::string bleu_text(const Bleu& bleu);

// chrF of a whole corpus, 0 to 100 (Popović, WMT 2015), with sacrebleu's defaults: n-grams of 1 to
// 6 characters without spaces, recall weighs twice as much as precision; of several references the
// one that scores best counts. Throws Error as above, and where a text is not UTF-8.
double chrf(const std::vector<std::string>& hypotheses, const References& references);

// The same with one reference each.
double bleu(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references,
            Tokenisation tokenisation = Tokenisation::mteval_13a);
double chrf(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references);

// How well a model predicts each next token, with the true ones before it given.
class NextTokens {
 public:
  // logits [b, t, tokens] and wanted [b, t] int64; positions that want `ignored` do not count.
  void add(const Tensor& logits, const Tensor& wanted, int64_t ignored);

  double accuracy() const;    // the share of tokens that are most likely; NaN without any
  double perplexity() const;  // exp of the mean cross-entropy; NaN without any

 private:
  int64_t count_ = 0, right_ = 0;
  double loss_ = 0;  // summed
};

struct Quality {
  double exact = 0, token_accuracy = 0, perplexity = 0;  // shares are 0 to 1
  Bleu bleu;
  double chrf = 0;  // 0 to 100
};

}  // namespace regrad::example

// A trained model with its two vocabularies: what one weights file holds.
#pragma once

#include <string>
#include <vector>

#include "examples/attention/batches.h"
#include "examples/attention/heatmap.h"
#include "examples/attention/vocabulary.h"
#include "nn/nn.h"

namespace regrad::example {

struct ModelSizes {
  std::string score;  // one of score_names()
  int64_t embedding = 0, hidden = 0;
  int64_t longest_source = 0, longest_target = 0;  // in tokens; the first binds "location" alone
  double dropout = 0;                              // in training only
};

struct Translation {
  std::string text;
  AttentionMap map;
};

class Translator {
 public:
  Translator(Vocabulary source, Vocabulary target, ModelSizes sizes, Generator& generator);

  // Writes weights, vocabularies and sizes as one safetensors file.
  void save(const std::string& path) const;
  // Reads one: from a run directory, or by its own name. Throws Error where it is missing, damaged
  // or not written by save().
  static Translator load(const std::string& path);

  // The mean cross-entropy of a token, with the true tokens before it given.
  Tensor loss(const Batch& batch);

  // The most likely next token, again and again until <eos>; many texts side by side.
  std::vector<std::string> translate(const std::vector<std::string>& texts);
  Translation show(const std::string& text);

  nn::Seq2Seq& model() { return model_; }
  const Vocabulary& source() const { return source_; }
  const Vocabulary& target() const { return target_; }

 private:
  nn::Decoded decode(const std::vector<Ids>& sources);
  void check_length(const Ids& source) const;

  Vocabulary source_, target_;
  ModelSizes sizes_;
  nn::Seq2Seq model_;
};

}  // namespace regrad::example

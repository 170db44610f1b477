// A trained model with its two vocabularies: what one weights file holds.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "examples/attention/options.h"
#include "examples/report/heatmap.h"
#include "examples/text/batches.h"
#include "examples/text/vocabulary.h"
#include "nn/nn.h"

namespace regrad::example {

struct Translation {
  std::string text;
  AttentionMap map;
  double score = 0;  // log-probability, divided by the length penalty
};

// Any of the models, called and visited in one way; names are those of the model itself.
struct TranslationModel {
  std::variant<nn::Seq2Seq, nn::TransformerSeq2Seq> kind;

  nn::Seq2SeqOutput operator()(const Tensor& source, const Tensor& lengths,
                               const Tensor& given) const;
  void visit(auto&& each) { each("", kind); }
};

class Translator {
 public:
  Translator(Vocabulary source, Vocabulary target, ModelOptions options, Generator& generator);

  // Writes weights, vocabularies and sizes as one safetensors file.
  void save(const std::string& path) const;
  // Reads one: from a run directory, or by its own name. Throws Error where it is missing, damaged
  // or not written by save().
  static Translator load(const std::string& path);

  // The two parts of such a file, and a translator made of them; errors call it `path`.
  nn::NamedTensors state() const { return nn::state_dict(model_); }
  nn::Metadata metadata() const;
  static Translator from(const std::string& path, const nn::NamedTensors& tensors,
                         const nn::Metadata& metadata);
  // An Error where the file was written by another program, or by another version of this one.
  static void check_version(const std::string& path, const nn::Metadata& metadata);

  // The mean cross-entropy of a token, with the true tokens before it given. A share `smoothing` of
  // each target is spread over all tokens (Szegedy et al., 2016).
  Tensor loss(const Batch& batch, double smoothing = 0);

  // The n_best translations of each text, best first, with what each token attended to. Many texts
  // side by side; a text without a token has one empty translation.
  std::vector<std::vector<Translation>> translate(const std::vector<std::string>& texts,
                                                  const Decoding& decoding = {});
  Translation show(const std::string& text);  // the likeliest; an Error where it holds no token

  void check_length(const std::string& text) const;  // an Error where it has too many tokens

  TranslationModel& model() { return model_; }
  const Vocabulary& source() const { return source_; }
  const Vocabulary& target() const { return target_; }

 private:
  nn::Hypotheses decode(const std::vector<Ids>& sources, const Decoding& decoding,
                        Generator& generator);
  void check_length(const Ids& source) const;

  Vocabulary source_, target_;
  ModelOptions options_;
  TranslationModel model_;
};

}  // namespace regrad::example

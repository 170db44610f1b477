// A trained model with its two vocabularies: what one weights file holds.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "examples/report/heatmap.h"
#include "examples/text/batches.h"
#include "examples/text/vocabulary.h"
#include "nn/nn.h"

namespace regrad::example {

// Tokens of one text; the memory that it takes grows with it.
inline constexpr int64_t longest_text = 4096;

struct ModelSizes {
  std::string score;                  // one of score_names(); a transformer has its own
  int64_t embedding = 0, hidden = 0;  // a transformer is `hidden` wide throughout
  int64_t longest_source = 0, longest_target = 0;  // in tokens; the first binds "location" alone
  double dropout = 0;                              // in training only
  std::string model = "gru";                       // one of model_names()
  int64_t layers = 2, heads = 4;                   // layers of the encoder; heads: a transformer's
  bool input_feeding = false, tie_output = false;  // of gru and lstm: nn/seq2seq.h
};

// How texts are made from what a model says. Either a search, or samples.
struct DecodeOptions {
  int64_t beam = 1;    // hypotheses kept side by side, n_best at least; 1: the likeliest token
  int64_t n_best = 1;  // translations of each text, or how many samples
  double length_penalty = 0;  // 0.6 to 1 favours longer translations; see nn/decode.h
  double temperature = 0;     // above 0: sample; 1: as the model says
  int64_t top_k = 0;          // sample from the k likeliest tokens; 0: from all
  double top_p = 1;           // sample from the likeliest tokens of this share together
  uint64_t seed = 1;          // of the samples
};

// What translates unless the user says otherwise: docs/attention.md has what it gains.
inline constexpr DecodeOptions usual_search = {.beam = 4, .length_penalty = 0.6};

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

std::vector<std::string> model_names();  // gru, lstm, transformer

class Translator {
 public:
  Translator(Vocabulary source, Vocabulary target, ModelSizes sizes, Generator& generator);

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

  // The mean cross-entropy of a token, with the true tokens before it given. A share `smoothing` of
  // what is wanted is spread over all tokens (Szegedy et al., 2016).
  Tensor loss(const Batch& batch, double smoothing = 0);

  // The n_best translations of each text, best first, with what each token attended to. Many texts
  // side by side; a text without a token has one empty translation.
  std::vector<std::vector<Translation>> translate(const std::vector<std::string>& texts,
                                                  const DecodeOptions& options);
  std::vector<std::string> translate(const std::vector<std::string>& texts);  // the best of 1
  Translation show(const std::string& text, const DecodeOptions& options = {});

  void check_length(const std::string& text) const;  // an Error where it has too many tokens

  TranslationModel& model() { return model_; }
  const Vocabulary& source() const { return source_; }
  const Vocabulary& target() const { return target_; }

 private:
  nn::Hypotheses decode(const std::vector<Ids>& sources, const DecodeOptions& options,
                        Generator& generator);
  void check_length(const Ids& source) const;

  Vocabulary source_, target_;
  ModelSizes sizes_;
  TranslationModel model_;
};

}  // namespace regrad::example

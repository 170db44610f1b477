#include "examples/attention/translator.h"

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "autograd/check.h"
#include "autograd/text.h"
#include "nn/files.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr size_t max_batch_texts = 64, max_batch_tokens = 1 << 14;  // with padding

std::string library_name(const std::string& score) {
  return score == "scaled" ? "scaled_dot" : score;
}

TranslationModel make_model(const Vocabulary& source, const Vocabulary& target,
                            const ModelOptions& options, Generator& generator) {
  if (options.model == "transformer") {
    check(options.heads > 0 && options.hidden % options.heads == 0,
          "transformer: --hidden is {}; it must be a multiple of its {} heads", options.hidden,
          options.heads);
    return {nn::TransformerSeq2Seq(source.size(), target.size(),
                                   {.dim = options.hidden,
                                    .heads = options.heads,
                                    .encoder_layers = options.layers,
                                    .decoder_layers = options.layers,
                                    .feedforward = 4 * options.hidden,
                                    .dropout = options.dropout,
                                    .padding_idx = Vocabulary::pad},
                                   generator)};
  }
  return {nn::Seq2Seq(source.size(), target.size(),
                      {.embedding = options.embedding,
                       .hidden = options.hidden,
                       .layers = options.layers,
                       .dropout = options.dropout,
                       .score = library_name(options.score),
                       .cell = options.model,
                       .max_length = options.longest_source,
                       .padding_idx = Vocabulary::pad,
                       .readout = options.embedding,
                       .input_feeding = options.input_feeding,
                       .tie_output = options.tie_output},
                      generator)};
}

const std::string& entry(const std::string& path, const nn::Metadata& metadata,
                         const std::string& key) {
  const auto found = metadata.find(key);
  check(found != metadata.end(),
        "{}: its metadata has no \"{}\"; it must be a weights file that `train` wrote", path, key);
  return found->second;
}

// The metadata decides how much memory a model takes: before one is made, the file must hold at
// least as many numbers as its embeddings and the largest weights of its layers.
void check_sizes(const std::string& path, const nn::NamedTensors& tensors, const Vocabulary& source,
                 const Vocabulary& target, const ModelOptions& options) {
  const bool is_transformer = options.model == "transformer";
  const int64_t width = is_transformer ? options.hidden : options.embedding;
  const int64_t matrices = is_transformer ? 24 : options.model == "lstm" ? 8 : 6;  // of a layer
  int64_t needed = (source.size() + target.size()) * width +
                   options.layers * matrices * options.hidden * options.hidden;
  if (!is_transformer && options.score == "location") {
    needed += options.longest_source * options.hidden;
  }
  int64_t found = 0;
  for (const auto& [name, tensor] : tensors) found += tensor.numel();
  check(needed <= found, "{}: it holds {} numbers; its metadata asks for {} or more", path, found,
        needed);
}

ModelOptions read_options(const std::string& path, const nn::Metadata& metadata) {
  ModelOptions options;
  for (const Setting& setting : settings_of(options)) {
    const std::string& text = entry(path, metadata, setting.name);
    nn::files::in_file(path + ": its metadata", [&] { read_value(text, setting); });
  }
  return options;
}

Vocabulary read_vocabulary(const std::string& path, const nn::Metadata& metadata, const char* key) {
  try {
    return Vocabulary::from_string(entry(path, metadata, key));
  } catch (const Error& error) {
    fail("{}: its {} is damaged: {}", path, key, error.what());
  }
}

// The map has a row for each token of the text, and none for <eos>.
Translation translation_of(const nn::Hypothesis& hypothesis, const std::string& text,
                           const Vocabulary& source, const Vocabulary& target) {
  Translation translation{target.decode(hypothesis.ids), {}, hypothesis.score};
  const auto rows = static_cast<int64_t>(hypothesis.ids.size());
  translation.map = {source.tokenise(text), target.tokens(hypothesis.ids),
                     narrow(hypothesis.attention, 0, 0, rows).to_vector<float>(),
                     text + " → " + translation.text};
  return translation;
}

// The numbers of the texts, those of like length together: as many as are decoded at once. Empty
// texts are apart from the others.
std::vector<std::vector<size_t>> batches_by_length(const std::vector<Ids>& texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return texts[a].size() < texts[b].size(); });
  std::vector<std::vector<size_t>> batches;
  for (const size_t i : order) {
    const bool fits = !batches.empty() && batches.back().size() < max_batch_texts &&
                      (batches.back().size() + 1) * texts[i].size() <= max_batch_tokens &&
                      texts[batches.back().front()].empty() == texts[i].empty();
    if (!fits) batches.emplace_back();
    batches.back().push_back(i);
  }
  return batches;
}

}  // namespace

nn::Seq2SeqOutput TranslationModel::operator()(const Tensor& source, const Tensor& lengths,
                                               const Tensor& given) const {
  return std::visit([&](const auto& model) { return model(source, lengths, given); }, kind);
}

Translator::Translator(Vocabulary source, Vocabulary target, ModelOptions options,
                       Generator& generator)
    : source_(std::move(source)),
      target_(std::move(target)),
      options_(std::move(options)),
      model_(make_model(source_, target_, options_, generator)) {}

nn::Metadata Translator::metadata() const {
  nn::Metadata metadata = {{"format", "pt"},
                           {"program", program_version},
                           {"source_vocabulary", source_.to_string()},
                           {"target_vocabulary", target_.to_string()}};
  ModelOptions options = options_;
  for (const Setting& setting : settings_of(options)) metadata[setting.name] = value_text(setting);
  return metadata;
}

void Translator::save(const std::string& path) const {
  nn::save_safetensors(path, state(), metadata(), {.checksum = true});
}

Translator Translator::load(const std::string& given) {
  std::error_code ignored;
  const bool is_directory = std::filesystem::is_directory(given, ignored);
  const std::string path = is_directory ? given + "/weights.safetensors" : given;
  check(std::filesystem::exists(path, ignored),
        "{}: there is no such file; `train --out DIR` writes DIR/weights.safetensors, and "
        "--weights DIR reads it",
        path);
  const nn::Safetensors file = nn::load_safetensors(path);
  check_version(path, file.metadata);
  check(file.verified, "{}: damaged: it has no checksum", path);
  return from(path, file.tensors, file.metadata);
}

void Translator::check_version(const std::string& path, const nn::Metadata& metadata) {
  const std::string& writer = entry(path, metadata, "program");
  check(writer == program_version, "{}: it was written by \"{}\"; it must be \"{}\"", path,
        shortened(writer), program_version);
}

Translator Translator::from(const std::string& path, const nn::NamedTensors& tensors,
                            const nn::Metadata& metadata) {
  check_version(path, metadata);
  Vocabulary source = read_vocabulary(path, metadata, "source_vocabulary");
  Vocabulary target = read_vocabulary(path, metadata, "target_vocabulary");
  const ModelOptions options = read_options(path, metadata);
  check_sizes(path, tensors, source, target, options);
  Generator generator;
  Translator translator(std::move(source), std::move(target), options, generator);
  try {
    nn::load_state_dict(translator.model_, tensors);
  } catch (const Error& error) {
    fail("{}: its metadata asks for another model: {}", path, error.what());
  }
  return translator;
}

Tensor Translator::loss(const Batch& given, double smoothing) {
  nn::train(model_);
  const Batch batch = on_device(trimmed(given));
  const Tensor logits = model_(batch.source, batch.source_lengths, batch.given).logits;
  return cross_entropy(flatten(logits, 0, 1), flatten(batch.wanted),
                       {.ignore_index = Vocabulary::pad, .label_smoothing = smoothing});
}

void Translator::check_length(const std::string& text) const { check_length(source_.encode(text)); }

void Translator::check_length(const Ids& source) const {
  check(static_cast<int64_t>(source.size()) <= max_text_length,
        "translate: a text has {} tokens; at most {} are possible", source.size(), max_text_length);
  check(
      options_.model == "transformer" || options_.score != "location" ||
          static_cast<int64_t>(source.size()) <= options_.longest_source,
      "translate: a text has {} tokens, but this model's location score reaches {} only; train on "
      "longer texts, or with another --score",
      source.size(), options_.longest_source);
}

nn::Hypotheses Translator::decode(const std::vector<Ids>& sources, const Decoding& decoding,
                                  Generator& generator) {
  nn::eval(model_);
  const Tensor source = padded(sources).to(default_device());
  nn::DecodeOptions options = decoding.options;
  options.bos = Vocabulary::bos;
  options.eos = Vocabulary::eos;
  options.max_length = std::min(options_.longest_target, max_text_length);
  options.beam = std::max(options.beam, options.n_best);
  return std::visit(
      [&](const auto& model) {
        return decoding.samples ? nn::sample(model, source, lengths(sources), options, generator)
                                : nn::beam_search(model, source, lengths(sources), options);
      },
      model_.kind);
}

std::vector<std::vector<Translation>> Translator::translate(const std::vector<std::string>& texts,
                                                            const Decoding& decoding) {
  std::vector<Ids> encoded;
  for (const std::string& text : texts) {
    encoded.push_back(source_.encode(text));
    check_length(encoded.back());
  }
  Generator generator(decoding.seed);
  std::vector<std::vector<Translation>> translations(texts.size());
  for (const std::vector<size_t>& batch : batches_by_length(encoded)) {
    std::vector<Ids> sources;
    for (const size_t i : batch) sources.push_back(encoded[i]);
    if (sources.front().empty()) {  // nothing to translate
      for (const size_t i : batch) translations[i].emplace_back();
      continue;
    }
    const nn::Hypotheses found = decode(sources, decoding, generator);
    for (size_t i = 0; i < batch.size(); ++i) {
      for (const nn::Hypothesis& hypothesis : found[i]) {
        translations[batch[i]].push_back(
            translation_of(hypothesis, texts[batch[i]], source_, target_));
      }
    }
  }
  return translations;
}

Translation Translator::show(const std::string& text) {
  check(!source_.encode(text).empty(), "show: the text holds no token; it must hold at least one");
  return translate({text}).front().front();
}

}  // namespace regrad::example

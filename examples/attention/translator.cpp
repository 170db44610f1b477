#include "examples/attention/translator.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/runs/terminal.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr const char *form = "regrad attention 3", *unsummed = "regrad attention 2";
constexpr size_t texts_at_once = 64;
constexpr int64_t largest_size = 4096;
constexpr size_t tokens_at_once = 1 << 14;  // with padding

std::string library_name(const std::string& score) {
  return score == "scaled" ? "scaled_dot" : score;
}

TranslationModel make_model(const Vocabulary& source, const Vocabulary& target,
                            const ModelSizes& sizes, Generator& generator) {
  if (sizes.model == "transformer") {
    check(sizes.heads > 0 && sizes.hidden % sizes.heads == 0,
          "transformer: --hidden is {}; it must be a multiple of its {} heads", sizes.hidden,
          sizes.heads);
    return {nn::TransformerSeq2Seq(source.size(), target.size(),
                                   {.dim = sizes.hidden,
                                    .heads = sizes.heads,
                                    .encoder_layers = sizes.layers,
                                    .decoder_layers = sizes.layers,
                                    .feedforward = 4 * sizes.hidden,
                                    .dropout = sizes.dropout,
                                    .padding_idx = Vocabulary::pad},
                                   generator)};
  }
  return {nn::Seq2Seq(source.size(), target.size(),
                      {.embedding = sizes.embedding,
                       .hidden = sizes.hidden,
                       .layers = sizes.layers,
                       .dropout = sizes.dropout,
                       .score = library_name(sizes.score),
                       .cell = sizes.model,
                       .max_length = sizes.longest_source,
                       .padding_idx = Vocabulary::pad,
                       .readout = sizes.embedding,
                       .input_feeding = sizes.input_feeding,
                       .tie_output = sizes.tie_output},
                      generator)};
}

const std::string& entry(const std::string& path, const nn::Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  check(found != metadata.end(),
        "{}: its metadata has no \"{}\"; it must be a weights file that `train` wrote", path, key);
  return found->second;
}

int64_t number(const std::string& path, const nn::Metadata& metadata, const char* key,
               int64_t least, int64_t most) {
  const std::string& text = entry(path, metadata, key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
        "{}: its metadata gives \"{}\" as \"{}\"; it must be a whole number from {} to {}", path,
        key, shortened(text), least, most);
  return value;
}

// The tensors decide how much memory the model takes: they must agree with the metadata before one
// is made.
void check_shape(const std::string& path, const nn::NamedTensors& tensors, const std::string& name,
                 const Shape& shape) {
  check(tensors.contains(name), "{}: the tensor \"{}\" is missing", path, name);
  const Tensor& given = tensors.at(name);
  check(given.shape() == shape && given.dtype() == float32,
        "{}: the tensor \"{}\" is {} {}; its metadata asks for {} float32", path, name,
        given.shape().str(), regrad::name(given.dtype()), shape.str());
}

void check_shapes(const std::string& path, const nn::NamedTensors& tensors,
                  const Vocabulary& source, const Vocabulary& target, const ModelSizes& sizes) {
  const bool is_transformer = sizes.model == "transformer";
  const int64_t width = is_transformer ? sizes.hidden : sizes.embedding;
  check_shape(path, tensors, "source_embedding.weight", {source.size(), width});
  check_shape(path, tensors, "target_embedding.weight", {target.size(), width});
  if (is_transformer) {
    for (int64_t layer = 0; layer < sizes.layers; ++layer) {
      for (const char* side : {"encoder", "decoder"}) {
        check_shape(path, tensors,
                    fmt::format("transformer.{}.layers.{}.linear1.weight", side, layer),
                    {4 * sizes.hidden, sizes.hidden});
      }
    }
    return;
  }
  const int64_t rows = (sizes.model == "lstm" ? 4 : 3) * sizes.hidden;
  check_shape(path, tensors, "decoder.weight_hh", {rows, sizes.hidden});
  for (int64_t layer = 0; layer < sizes.layers; ++layer) {
    for (const char* side : {"", "_reverse"}) {
      check_shape(path, tensors, fmt::format("encoder.weight_hh_l{}{}", layer, side),
                  {rows, sizes.hidden});
    }
  }
  if (sizes.score == "location") {
    check_shape(path, tensors, "score.linear.weight", {sizes.longest_source, sizes.hidden});
  }
}

void check_name(const std::string& path, const char* what, const std::string& given,
                const std::vector<std::string>& names) {
  check(std::find(names.begin(), names.end(), given) != names.end(),
        "{}: its metadata gives the {} \"{}\"; it must be one of {}", path, what,
        shortened(given), fmt::join(names, ", "));
}

ModelSizes read_sizes(const std::string& path, const nn::Metadata& metadata) {
  ModelSizes sizes = {entry(path, metadata, "score"),
                      number(path, metadata, "embedding", 1, largest_size),
                      number(path, metadata, "hidden", 1, largest_size),
                      number(path, metadata, "longest_source", 1, 1 << 24),
                      number(path, metadata, "longest_target", 1, 1 << 24)};
  check_name(path, "score function", sizes.score, score_names());
  sizes.model = entry(path, metadata, "model");
  check_name(path, "model", sizes.model, model_names());
  sizes.layers = number(path, metadata, "layers", 1, 64);
  sizes.heads = number(path, metadata, "heads", 1, largest_size);
  sizes.input_feeding = number(path, metadata, "input_feeding", 0, 1) == 1;
  sizes.tie_output = number(path, metadata, "tie_output", 0, 1) == 1;
  return sizes;
}

Vocabulary read_vocabulary(const std::string& path, const nn::Metadata& metadata, const char* key) {
  try {
    return Vocabulary::from_string(entry(path, metadata, key));
  } catch (const Error& error) {
    fail("{}: its {} is damaged: {}", path, key, error.what());
  }
}

// The map has a row for each token of the text, and none for <eos>.
Translation described(const nn::Hypothesis& found, const std::string& text,
                      const Vocabulary& source, const Vocabulary& target) {
  Translation translation{target.decode(found.ids), {}, found.score};
  const Tensor rows = narrow(found.attention, 0, 0, static_cast<int64_t>(found.ids.size()));
  translation.map = {source.tokenise(text), target.tokens(found.ids), rows.to_vector<float>(),
                     text + " → " + translation.text};
  return translation;
}

}  // namespace

std::vector<std::string> score_names() {
  return {"additive", "dot", "scaled", "general", "location", "distance", "cosine"};
}

std::vector<std::string> model_names() { return {"gru", "lstm", "transformer"}; }

nn::Seq2SeqOutput TranslationModel::operator()(const Tensor& source, const Tensor& lengths,
                                               const Tensor& given) const {
  return std::visit([&](const auto& model) { return model(source, lengths, given); }, kind);
}

Translator::Translator(Vocabulary source, Vocabulary target, ModelSizes sizes, Generator& generator)
    : source_(std::move(source)),
      target_(std::move(target)),
      sizes_(std::move(sizes)),
      model_(make_model(source_, target_, sizes_, generator)) {}

nn::Metadata Translator::metadata() const {
  return {{"format", "pt"},
          {"program", form},
          {"model", sizes_.model},
          {"score", sizes_.score},
          {"embedding", std::to_string(sizes_.embedding)},
          {"hidden", std::to_string(sizes_.hidden)},
          {"layers", std::to_string(sizes_.layers)},
          {"heads", std::to_string(sizes_.heads)},
          {"input_feeding", std::to_string(sizes_.input_feeding)},
          {"tie_output", std::to_string(sizes_.tie_output)},
          {"longest_source", std::to_string(sizes_.longest_source)},
          {"longest_target", std::to_string(sizes_.longest_target)},
          {"source_vocabulary", source_.to_string()},
          {"target_vocabulary", target_.to_string()}};
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
  check(file.verified || entry(path, file.metadata, "program") != form,
        "{}: damaged: it has no checksum", path);
  return from(path, file.tensors, file.metadata);
}

Translator Translator::from(const std::string& path, const nn::NamedTensors& tensors,
                            const nn::Metadata& metadata) {
  const std::string& writer = entry(path, metadata, "program");
  check(writer == form || writer == unsummed, "{}: it was written by \"{}\"; it must be \"{}\"",
        path, shortened(writer), form);
  Vocabulary source = read_vocabulary(path, metadata, "source_vocabulary");
  Vocabulary target = read_vocabulary(path, metadata, "target_vocabulary");
  const ModelSizes sizes = read_sizes(path, metadata);
  check_shapes(path, tensors, source, target, sizes);
  Generator generator;
  Translator translator(std::move(source), std::move(target), sizes, generator);
  try {
    nn::load_state_dict(translator.model_, tensors);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
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
  check(static_cast<int64_t>(source.size()) <= longest_text,
        "translate: a text has {} tokens; at most {} are possible", source.size(), longest_text);
  check(
      sizes_.model == "transformer" || sizes_.score != "location" ||
          static_cast<int64_t>(source.size()) <= sizes_.longest_source,
      "translate: a text has {} tokens, but this model's location score reaches {} only; train on "
      "longer texts, or with another --score",
      source.size(), sizes_.longest_source);
}

nn::Hypotheses Translator::decode(const std::vector<Ids>& sources, const DecodeOptions& options,
                                  Generator& generator) {
  nn::eval(model_);
  const Tensor given = padded(sources).to(default_device());
  const nn::DecodeOptions how = {.bos = Vocabulary::bos,
                                 .eos = Vocabulary::eos,
                                 .max_length = std::min(sizes_.longest_target, longest_text),
                                 .n_best = options.n_best,
                                 .beam = std::max(options.beam, options.n_best),
                                 .length_penalty = options.length_penalty,
                                 .temperature = options.temperature,
                                 .top_k = options.top_k,
                                 .top_p = options.top_p};
  return std::visit(
      [&](const auto& model) {
        return options.temperature > 0 ? nn::sample(model, given, lengths(sources), how, generator)
                                       : nn::beam_search(model, given, lengths(sources), how);
      },
      model_.kind);
}

std::vector<std::vector<Translation>> Translator::translate(const std::vector<std::string>& texts,
                                                            const DecodeOptions& options) {
  std::vector<Ids> encoded;
  for (const std::string& text : texts) {
    encoded.push_back(source_.encode(text));
    check_length(encoded.back());
  }
  std::vector<size_t> order(texts.size());  // texts of like length are translated together
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return encoded[a].size() < encoded[b].size(); });
  Generator generator(options.seed);
  std::vector<std::vector<Translation>> answers(texts.size());
  size_t start = 0;
  for (; start < order.size() && encoded[order[start]].empty(); ++start) {
    answers[order[start]].emplace_back();  // nothing to translate
  }
  for (size_t end = start; start < order.size(); start = end) {
    const auto fits = [&](size_t i) {
      return i < order.size() && i - start < texts_at_once &&
             (i - start + 1) * encoded[order[i]].size() <= tokens_at_once;
    };
    do ++end;
    while (fits(end));
    std::vector<Ids> sources;
    for (size_t i = start; i < end; ++i) sources.push_back(encoded[order[i]]);
    const nn::Hypotheses found = decode(sources, options, generator);
    for (size_t i = start; i < end; ++i) {
      for (const nn::Hypothesis& one : found[i - start]) {
        answers[order[i]].push_back(described(one, texts[order[i]], source_, target_));
      }
    }
  }
  return answers;
}

std::vector<std::string> Translator::translate(const std::vector<std::string>& texts) {
  std::vector<std::string> answers;
  for (std::vector<Translation>& found : translate(texts, DecodeOptions{})) {
    answers.push_back(std::move(found.front().text));
  }
  return answers;
}

Translation Translator::show(const std::string& text, const DecodeOptions& options) {
  check(!source_.encode(text).empty(), "show: the text holds no token; it must hold at least one");
  return translate({text}, options).front().front();
}

}  // namespace regrad::example

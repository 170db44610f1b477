#include "examples/attention/translator.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

constexpr const char* form = "regrad attention 1";
constexpr size_t texts_at_once = 64;
constexpr int64_t largest_size = 4096;
constexpr size_t longest_text = 4096;  // in tokens; the memory that it takes grows with it

std::string library_name(const std::string& score) {
  return score == "scaled" ? "scaled_dot" : score;
}

nn::Seq2Seq make_model(const Vocabulary& source, const Vocabulary& target, const ModelSizes& sizes,
                       Generator& generator) {
  return nn::Seq2Seq(source.size(), target.size(),
                     {.embedding = sizes.embedding,
                      .hidden = sizes.hidden,
                      .dropout = sizes.dropout,
                      .score = library_name(sizes.score),
                      .max_length = sizes.longest_source,
                      .padding_idx = Vocabulary::pad},
                     generator);
}

const std::string& entry(const std::string& path, const nn::Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  check(found != metadata.end(),
        "{}: its metadata has no \"{}\"; it must be a weights file that `attention train` wrote",
        path, key);
  return found->second;
}

int64_t number(const std::string& path, const nn::Metadata& metadata, const char* key,
               int64_t most) {
  const std::string& text = entry(path, metadata, key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= most,
        "{}: its metadata gives \"{}\" as \"{}\"; it must be a whole number from 1 to {}", path,
        key, text.substr(0, 40), most);
  return value;
}

// The tensors decide how much memory the model takes: they must agree with the metadata before one
// is made.
void check_shape(const std::string& path, const nn::NamedTensors& tensors, const char* name,
                 const Shape& shape) {
  check(tensors.contains(name), "{}: the tensor \"{}\" is missing", path, name);
  check(tensors.at(name).shape() == shape, "{}: the tensor \"{}\" is {}; its metadata asks for {}",
        path, name, tensors.at(name).shape().str(), shape.str());
}

Vocabulary read_vocabulary(const std::string& path, const nn::Metadata& metadata, const char* key) {
  try {
    return Vocabulary::from_string(entry(path, metadata, key));
  } catch (const Error& error) {
    fail("{}: its {} is damaged: {}", path, key, error.what());
  }
}

}  // namespace

std::vector<std::string> score_names() {
  return {"additive", "dot", "scaled", "general", "location", "distance", "cosine"};
}

Translator::Translator(Vocabulary source, Vocabulary target, ModelSizes sizes, Generator& generator)
    : source_(std::move(source)),
      target_(std::move(target)),
      sizes_(std::move(sizes)),
      model_(make_model(source_, target_, sizes_, generator)) {}

void Translator::save(const std::string& path) const {
  nn::save_safetensors(path, nn::state_dict(model_),
                       {{"format", "pt"},
                        {"program", form},
                        {"score", sizes_.score},
                        {"embedding", std::to_string(sizes_.embedding)},
                        {"hidden", std::to_string(sizes_.hidden)},
                        {"longest_source", std::to_string(sizes_.longest_source)},
                        {"longest_target", std::to_string(sizes_.longest_target)},
                        {"source_vocabulary", source_.to_string()},
                        {"target_vocabulary", target_.to_string()}});
}

Translator Translator::load(const std::string& given) {
  std::error_code ignored;
  const bool is_directory = std::filesystem::is_directory(given, ignored);
  const std::string path = is_directory ? given + "/weights.safetensors" : given;
  check(
      std::filesystem::exists(path, ignored),
      "{}: there is no such file; `attention train --out DIR` writes DIR/weights.safetensors, and "
      "--weights DIR reads it",
      path);
  const nn::Safetensors file = nn::load_safetensors(path);
  const nn::Metadata& metadata = file.metadata;
  check(entry(path, metadata, "program") == form, "{}: it was written by \"{}\"; it must be \"{}\"",
        path, entry(path, metadata, "program").substr(0, 40), form);
  Vocabulary source = read_vocabulary(path, metadata, "source_vocabulary");
  Vocabulary target = read_vocabulary(path, metadata, "target_vocabulary");
  const ModelSizes sizes = {entry(path, metadata, "score"),
                            number(path, metadata, "embedding", largest_size),
                            number(path, metadata, "hidden", largest_size),
                            number(path, metadata, "longest_source", 1 << 24),
                            number(path, metadata, "longest_target", 1 << 24)};
  const std::vector<std::string> names = score_names();
  check(std::find(names.begin(), names.end(), sizes.score) != names.end(),
        "{}: its metadata gives the score function \"{}\"; it must be one of {}", path,
        sizes.score.substr(0, 40), fmt::join(names, ", "));
  check_shape(path, file.tensors, "source_embedding.weight", {source.size(), sizes.embedding});
  check_shape(path, file.tensors, "target_embedding.weight", {target.size(), sizes.embedding});
  check_shape(path, file.tensors, "decoder.weight_hh", {3 * sizes.hidden, sizes.hidden});
  if (sizes.score == "location") {
    check_shape(path, file.tensors, "score.linear.weight", {sizes.longest_source, sizes.hidden});
  }
  Generator generator;
  Translator translator(std::move(source), std::move(target), sizes, generator);
  try {
    nn::load_state_dict(translator.model_, file.tensors);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
  return translator;
}

Tensor Translator::loss(const Batch& given) {
  nn::train(model_);
  const Batch batch = trimmed(given);
  const Tensor logits = model_(batch.source, batch.source_lengths, batch.given).logits;
  return cross_entropy(flatten(logits, 0, 1), flatten(batch.wanted),
                       {.ignore_index = Vocabulary::pad});
}

void Translator::check_length(const Ids& source) const {
  check(source.size() <= longest_text, "translate: a text has {} tokens; at most {} are possible",
        source.size(), longest_text);
  check(
      sizes_.score != "location" || static_cast<int64_t>(source.size()) <= sizes_.longest_source,
      "translate: a text has {} tokens, but this model's location score reaches {} only; train on "
      "longer texts, or with another --score",
      source.size(), sizes_.longest_source);
}

nn::Decoded Translator::decode(const std::vector<Ids>& sources) {
  const NoGrad guard;
  nn::eval(model_);
  return model_.greedy(
      padded(sources), lengths(sources),
      {.bos = Vocabulary::bos, .eos = Vocabulary::eos, .max_length = sizes_.longest_target});
}

std::vector<std::string> Translator::translate(const std::vector<std::string>& texts) {
  std::vector<Ids> encoded;
  for (const std::string& text : texts) {
    encoded.push_back(source_.encode(text));
    check_length(encoded.back());
  }
  std::vector<size_t> order(texts.size());  // texts of like length are translated together
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return encoded[a].size() < encoded[b].size(); });
  std::vector<std::string> answers(texts.size());
  size_t start = 0;
  while (start < order.size() && encoded[order[start]].empty()) ++start;  // nothing to translate
  for (; start < order.size(); start += texts_at_once) {
    const size_t end = std::min(start + texts_at_once, order.size());
    std::vector<Ids> sources;
    for (size_t i = start; i < end; ++i) sources.push_back(encoded[order[i]]);
    const nn::Decoded decoded = decode(sources);
    for (size_t i = start; i < end; ++i) answers[order[i]] = target_.decode(decoded.ids[i - start]);
  }
  return answers;
}

Translation Translator::show(const std::string& text) {
  const Ids source = source_.encode(text);
  check_length(source);
  check(!source.empty(), "show: the text holds no token; it must hold at least one");
  const nn::Decoded decoded = decode({source});
  const Ids& ids = decoded.ids.front();
  const Tensor weights =
      narrow(select(decoded.weights, 0, 0), 0, 0, static_cast<int64_t>(ids.size()));
  Translation translation{target_.decode(ids), {}};
  translation.map = {source_.tokenise(text), target_.tokens(ids), weights.to_vector<float>(),
                     text + " → " + translation.text};
  return translation;
}

}  // namespace regrad::example

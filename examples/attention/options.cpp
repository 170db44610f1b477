#include "examples/attention/options.h"

namespace regrad::example {
namespace {

constexpr double max_steps = 1e9;
const std::string by_data = "; unless given as suits the data";

Option path(const char* name, std::string* value, const char* type, std::string help) {
  return {{name, value, 0, 4096}, type, std::move(help)};
}

Option choice(const char* name, std::string* value, std::vector<std::string> choices,
              const char* type, std::string help) {
  return {{name, value, 0, 0, std::move(choices)}, type, std::move(help)};
}

// `unset` is what the value is where it is not given, if that is outside the range.
template <class Number>
Option number(const char* name, Number* value, double min, double max, const char* type,
              std::string help, std::optional<double> unset = std::nullopt) {
  return {{name, value, min, max, {}, unset}, type, std::move(help)};
}

Option flag(const char* name, bool* value, std::string help) {
  return {{name, value}, "", std::move(help)};
}

Option seed(uint64_t* value, std::string help) {
  return number("seed", value, 0, 0x1p64, "N", std::move(help));
}

Options model_options(ModelOptions& o) {
  return {
      choice("model", &o.model, model_names(), "NAME", "gru, lstm or transformer"),
      choice(
          "score", &o.score, score_names(), "NAME",
          "the score of a source position: additive, dot, scaled, general, location, distance or "
          "cosine"),
      number("layers", &o.layers, 1, 64, "N",
             "of the encoder, and of a transformer's decoder" + by_data),
      number("heads", &o.heads, 1, 4096, "N", "of a transformer"),
      number("embedding", &o.embedding, 1, 4096, "N", "numbers for each token" + by_data),
      number("hidden", &o.hidden, 1, 4096, "N", "size of the recurrent state" + by_data),
      flag("input_feeding", &o.input_feeding,
           "give each step of a gru or lstm what the step before read out"),
      flag("tie_output", &o.tie_output,
           "the output layer of a gru or lstm is the target embedding"),
      number("dropout", &o.dropout, 0, 0.9, "P", "chance to drop a number in training" + by_data)};
}

Options data_options(TrainOptions& o) {
  return {
      path("data", &o.data, "FILE",
           "pairs to learn from: SOURCE<tab>TARGET or SOURCE_TARGET lines, UTF-8"),
      path("out", &o.out, "DIR",
           "where weights and pictures go; unless given runs/ and the name of the data"),
      choice(
          "tokens", &o.tokens, {"auto", "char", "word", "bytepair"}, "KIND",
          "what a token is: char, word, or bytepair (learnt parts of words); auto takes bytepair "
          "for sentences"),
      number("merges", &o.merges, 0, 1e6, "N", "of bytepair; unless given as many as suit", -1),
      number("held_out", &o.held_out, 0, 0.9, "SHARE",
             "the share of sources kept from training, to measure on"),
      number("pairs", &o.pairs, 1, 1e8, "N", "use the first N pairs only; or make up N dates", 0),
      number(
          "max_length", &o.max_length, 1, max_text_length, "N",
          "leave out pairs with a side of more than N tokens; unless given one of more than 1000 "
          "is an error",
          0)};
}

Options step_options(TrainOptions& o) {
  return {number("batch", &o.batch, 1, 65536, "N", "pairs in a step"),
          number("accumulate", &o.accumulate, 1, 65536, "N", "batches in a step"),
          number("steps", &o.steps, 1, max_steps, "N",
                 "how many steps; unless given as suits the data", 0),
          number("epochs", &o.epochs, 1, 1e6, "N", "or how many times through all pairs", 0),
          number("lr", &o.lr, 1e-9, 10, "RATE", "the highest learning rate of Adam" + by_data),
          choice("schedule", &o.schedule, {"cosine", "inverse-sqrt", "constant"}, "NAME",
                 "how the rate falls: cosine, inverse-sqrt or constant"),
          number("warmup", &o.warmup, 0, max_steps, "N",
                 "steps in which the rate rises; unless given 5 %", -1),
          number("label_smoothing", &o.label_smoothing, 0, 0.9, "P",
                 "the share of each target that is spread over all tokens"),
          number("clip", &o.clip, 0, 1e9, "LENGTH", "the longest gradient; 0: any length"),
          seed(&o.seed, "another seed, another run"),
          number("patience", &o.patience, 0, 1e6, "N",
                 "stop after N measurements without a better held-out loss; 0: never"),
          number("save_every", &o.save_every, 1, max_steps, "N",
                 "steps; unless given a twentieth of all", 0),
          number("keep", &o.keep, 1, 1e6, "N", "checkpoints, besides the best")};
}

Options decode_options(Decoding& decoding) {
  nn::DecodeOptions& o = decoding.options;
  Options options = {
      number("beam", &o.beam, 1, 1000, "N", "search with so many hypotheses side by side"),
      number("n_best", &o.n_best, 1, 1000, "N", "the best N, or N samples, with their scores"),
      number("length_penalty", &o.length_penalty, -10, 10, "ALPHA",
             "above 0 favours longer translations"),
      number("temperature", &o.temperature, 0, 100, "T",
             "given and above 0: samples in place of searching; 1: as the model says"),
      number("top_k", &o.top_k, 0, 1e9, "K", "sample from the K likeliest tokens; 0: all"),
      number("top_p", &o.top_p, 1e-6, 1, "P", "sample from the likeliest, P of chance together"),
      seed(&decoding.seed, "another seed, other samples")};
  options[3].shows_default = false;
  return options;
}

Option weights(std::string* value) {
  return path("weights", value, "DIR", "a run of `train`: its folder, or the file itself");
}

Options joined(std::initializer_list<Options> parts) {
  Options all;
  for (const Options& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Those that a run keeps in its config.json.
Options run_options(TrainOptions& options) {
  return joined({data_options(options), model_options(options), step_options(options)});
}

}  // namespace

std::vector<std::string> model_names() { return {"gru", "lstm", "transformer"}; }

std::vector<std::string> score_names() {
  return {"additive", "dot", "scaled", "general", "location", "distance", "cosine"};
}

Options options_of(TrainOptions& o) {
  return joined({run_options(o),
                 {path("resume", &o.resume, "DIR",
                       "go on with the run in DIR, with its own options; only --threads and "
                       "--device may differ"),
                  flag("audit", &o.audit,
                       "show what the first step of a new run brings to each parameter; unless "
                       "given only what is wrong")}});
}

Options options_of(TranslateOptions& o) {
  return joined({{weights(&o.weights)}, decode_options(o.decode)});
}

Options options_of(EvaluateOptions& o) {
  return joined({{weights(&o.weights),
                  path("data", &o.data, "FILE", "pairs; unless given those that the run held out"),
                  number("pairs", &o.pairs, 1, 1e8, "N", "at most so many sources, evenly spread")},
                 decode_options(o.decode)});
}

Options options_of(ShowOptions& o) {
  return joined({{weights(&o.weights), path("svg", &o.svg, "FILE", "also write an SVG picture"),
                  path("html", &o.html, "FILE", "also write a page for the browser")},
                 decode_options(o.decode)});
}

Options options_of(TutorialOptions& o) {
  std::vector<std::string> names = score_names();
  names.push_back("all");
  return {choice("score", &o.score, names, "NAME",
                 "the score function f(h_i, h_j): additive, dot, ..., or all"),
          number("iterations", &o.iterations, 1, 1e6, "N", "stop after so many"),
          number("threshold", &o.threshold, 0, 1e9, "L", "or when the loss is below"),
          number("lr", &o.lr, 1e-9, 1e9, "RATE", "the step size, alpha"),
          seed(&o.seed, "another seed, other numbers")};
}

Settings settings_of(Config& config) {
  Settings all = {{"program", &config.program, 0, 0, {program_version}}};
  for (const Option& option : run_options(config.options)) all.push_back(option.setting);
  all.push_back({"until_solved", &config.options.until_solved});
  all.push_back({"data_bytes", &config.data.bytes, 0, 9e18});
  all.push_back({"data_checksum", &config.data.checksum, 0, 64});
  return all;
}

Settings settings_of(ModelOptions& options) {
  Settings all;
  for (const Option& option : model_options(options)) all.push_back(option.setting);
  all.push_back({"longest_source", &options.longest_source, 1, 1 << 24});
  all.push_back({"longest_target", &options.longest_target, 1, 1 << 24});
  return all;
}

}  // namespace regrad::example

#include "examples/attention/options.h"

namespace regrad::example {
namespace {

constexpr double max_path = 4096, max_steps = 1e9;
constexpr const char* by_data = "; unless given as suits the data";

const std::vector<std::string> tokens = {"auto", "char", "word", "bytepair"};
const std::vector<std::string> schedules = {"cosine", "inverse-sqrt", "constant"};

Options data_options(TrainOptions& o) {
  return {
      {{"data", &o.data, 0, max_path},
       "FILE",
       "pairs to learn from: SOURCE<tab>TARGET or SOURCE_TARGET lines, UTF-8"},
      {{"out", &o.out, 0, max_path},
       "DIR",
       "where weights and pictures go; unless given runs/ and the name of the data"},
      {{"tokens", &o.tokens, 0, 0, tokens},
       "KIND",
       "what a token is: char, word, or bytepair (learnt parts of words); auto takes bytepair for "
       "sentences"},
      {{"merges", &o.merges, 0, 1e6, {}, -1}, "N", "of bytepair; unless given as many as suit"},
      {{"held_out", &o.held_out, 0, 0.9},
       "SHARE",
       "the share of sources kept from training, to measure on"},
      {{"pairs", &o.pairs, 1, 1e8, {}, 0},
       "N",
       "use the first N pairs only; or make up N dates"},
      {{"max_length", &o.max_length, 1, max_text_length, {}, 0},
       "N",
       "leave out pairs with a side of more than N tokens; unless given one of more than 1000 is an "
       "error"}};
}

Options model_options(ModelOptions& o) {
  return {
      {{"model", &o.model, 0, 0, model_names()}, "NAME", "gru, lstm or transformer"},
      {{"score", &o.score, 0, 0, score_names()},
       "NAME",
       "the score of a source position: additive, dot, scaled, general, location, distance or "
       "cosine"},
      {{"layers", &o.layers, 1, 64},
       "N",
       std::string("of the encoder, and of a transformer's decoder") + by_data},
      {{"heads", &o.heads, 1, 4096}, "N", "of a transformer"},
      {{"embedding", &o.embedding, 1, 4096}, "N", std::string("numbers for each token") + by_data},
      {{"hidden", &o.hidden, 1, 4096}, "N", std::string("size of the recurrent state") + by_data},
      {{"input_feeding", &o.input_feeding},
       "",
       "give each step of a gru or lstm what the step before read out"},
      {{"tie_output", &o.tie_output},
       "",
       "the output layer of a gru or lstm is the target embedding"},
      {{"dropout", &o.dropout, 0, 0.9},
       "P",
       std::string("chance to drop a number in training") + by_data}};
}

Options step_options(TrainOptions& o) {
  return {
      {{"batch", &o.batch, 1, 65536}, "N", "pairs in a step"},
      {{"accumulate", &o.accumulate, 1, 65536}, "N", "batches in a step"},
      {{"steps", &o.steps, 1, max_steps, {}, 0},
       "N",
       "how many steps; unless given as suits the data"},
      {{"epochs", &o.epochs, 1, 1e6, {}, 0}, "N", "or how many times through all pairs"},
      {{"lr", &o.lr, 1e-9, 10}, "RATE", std::string("the highest learning rate of Adam") + by_data},
      {{"schedule", &o.schedule, 0, 0, schedules},
       "NAME",
       "how the rate falls: cosine, inverse-sqrt or constant"},
      {{"warmup", &o.warmup, 0, max_steps, {}, -1},
       "N",
       "steps in which the rate rises; unless given 5 %"},
      {{"label_smoothing", &o.label_smoothing, 0, 0.9},
       "P",
       "the share of each target that is spread over all tokens"},
      {{"clip", &o.clip, 0, 1e9}, "LENGTH", "the longest gradient; 0: any length"},
      {{"seed", &o.seed, 0, 0x1p64}, "N", "another seed, another run"}};
}

Options keeping_options(TrainOptions& o) {
  return {{{"patience", &o.patience, 0, 1e6},
           "N",
           "stop after N measurements without a better held-out loss; 0: never"},
          {{"save_every", &o.save_every, 1, max_steps, {}, 0},
           "N",
           "steps; unless given a twentieth of all"},
          {{"keep", &o.keep, 1, 1e6}, "N", "checkpoints, besides the best"}};
}

Options decode_options(Decoding& decoding) {
  nn::DecodeOptions& o = decoding.options;
  return {{{"beam", &o.beam, 1, 1000}, "N", "search with so many hypotheses side by side"},
          {{"n_best", &o.n_best, 1, 1000}, "N", "the best N, or N samples, with their scores"},
          {{"length_penalty", &o.length_penalty, -10, 10},
           "ALPHA",
           "above 0 favours longer translations"},
          {{"temperature", &o.temperature, 0, 100},
           "T",
           "given and above 0: samples in place of searching; 1: as the model says",
           false},
          {{"top_k", &o.top_k, 0, 1e9}, "K", "sample from the K likeliest tokens; 0: all"},
          {{"top_p", &o.top_p, 1e-6, 1}, "P", "sample from the likeliest, P of chance together"},
          {{"seed", &decoding.seed, 0, 0x1p64}, "N", "another seed, other samples"}};
}

Options weights_options(std::string& weights) {
  return {{{"weights", &weights, 0, max_path},
           "DIR",
           "a run of `train`: its folder, or the file itself"}};
}

Options joined(std::initializer_list<Options> parts) {
  Options all;
  for (const Options& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// Those that a run keeps in its config.json.
Options run_options(TrainOptions& options) {
  return joined({data_options(options), model_options(options), step_options(options),
                 keeping_options(options)});
}

}  // namespace

std::vector<std::string> model_names() { return {"gru", "lstm", "transformer"}; }

std::vector<std::string> score_names() {
  return {"additive", "dot", "scaled", "general", "location", "distance", "cosine"};
}

Options options_of(TrainOptions& options) {
  return joined({run_options(options),
                 {{{"resume", &options.resume, 0, max_path},
                   "DIR",
                   "go on with the run in DIR, with its own options; only --threads and --device may "
                   "differ"}}});
}

Options options_of(TranslateOptions& options) {
  return joined({weights_options(options.weights), decode_options(options.decode)});
}

Options options_of(EvaluateOptions& options) {
  return joined(
      {weights_options(options.weights),
       {{{"data", &options.data, 0, max_path},
         "FILE",
         "pairs; unless given those that the run held out"},
        {{"pairs", &options.pairs, 1, 1e8}, "N", "at most so many sources, evenly spread"}},
       decode_options(options.decode)});
}

Options options_of(ShowOptions& options) {
  return joined({weights_options(options.weights),
                 {{{"svg", &options.svg, 0, max_path}, "FILE", "also write an SVG picture"},
                  {{"html", &options.html, 0, max_path}, "FILE", "also write a page for the browser"}},
                 decode_options(options.decode)});
}

Options options_of(TutorialOptions& options) {
  std::vector<std::string> names = score_names();
  names.push_back("all");
  return {{{"score", &options.score, 0, 0, names},
           "NAME",
           "the score function f(h_i, h_j): additive, dot, ..., or all"},
          {{"iterations", &options.iterations, 1, 1e6}, "N", "stop after so many"},
          {{"threshold", &options.threshold, 0, 1e9}, "L", "or when the loss is below"},
          {{"lr", &options.lr, 1e-9, 1e9}, "RATE", "the step size, alpha"},
          {{"seed", &options.seed, 0, 0x1p64}, "N", "another seed, other numbers"}};
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

// What the command line says. An option is a field here and a line in options.cpp, from which the
// command line, config.json and the metadata of weights follow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/runs/checksum.h"
#include "examples/runs/settings.h"
#include "nn/decode.h"
#include "ops/backend.h"

namespace regrad::example {

// Files of other versions are an Error that says so.
inline constexpr const char* program_version = "regrad attention 4";

// Tokens of one text; the memory that it takes grows with it.
inline constexpr int64_t max_text_length = 4096;

struct Machine {
  int threads = 0;             // 0: as many as there are cores
  std::string device = "cpu";  // or "cuda"

  void use() const {
    if (threads > 0) set_num_threads(threads);
    if (device == "cuda") set_default_device(cuda());
  }
};

struct ModelOptions {
  std::string model = "gru";          // one of model_names()
  std::string score = "additive";     // one of score_names(); a transformer has its own
  int64_t embedding = 0, hidden = 0;  // 0, here and below: as suits the data (defaults.h)
  int64_t layers = 0, heads = 4;      // layers of the encoder; heads of a transformer
  double dropout = -1;                // in training only; -1: as suits the data
  bool input_feeding = false, tie_output = false;  // of gru and lstm: nn/seq2seq.h
  int64_t longest_source = 0, longest_target = 0;  // tokens, from the data; the first binds
                                                   // "location" alone
};

struct TrainOptions : ModelOptions {
  std::string data;             // empty: dates are generated
  std::string out;              // the run directory; empty: runs/ and the name of the data
  std::string tokens = "auto";  // auto: bytepair for sentences of words, char for all else
  int64_t merges = -1;          // of bytepair; -1: as many as suit the data
  int64_t batch = 64;
  int64_t accumulate = 1;         // batches in a step
  int64_t steps = 0, epochs = 0;  // one of them
  double lr = 0;
  std::string schedule = "cosine";
  int64_t warmup = -1;  // steps; -1: a twentieth of all
  double label_smoothing = 0, clip = 1;
  double held_out = 0.1;
  int64_t patience = 0;       // measurements without a better held-out loss; 0: never stop early
  bool until_solved = false;  // end where held-out sources are translated without a mistake
  int64_t save_every = 0;     // steps; 0: a twentieth of all
  int64_t keep = 3;           // checkpoints
  std::string resume;         // the run directory of a run to go on with; its options are taken
  uint64_t seed = 1;
  int64_t pairs = 0;       // use only the first so many; of generated dates: how many; 0: all
  int64_t max_length = 0;  // leave out pairs with a side of more tokens; 0: such a pair is an Error
  bool audit = false;      // show what the first step brings to each parameter
  Machine machine;

  static constexpr int64_t default_dates = 20000;
};

// A search for the likeliest text, or samples. n_best may be above beam, which then is as large.
struct Decoding {
  nn::DecodeOptions options = {};
  bool samples = false;
  uint64_t seed = 1;  // of the samples
};

// What translates unless the user says otherwise: docs/attention.md has what it gains.
inline const Decoding default_search = {.options = {.beam = 4, .length_penalty = 0.6}};

struct TranslateOptions {
  std::string weights = "runs/date";  // a run directory, or the weights file itself
  std::vector<std::string> texts;
  Decoding decode = default_search;
};

struct EvaluateOptions {
  std::string weights = "runs/date";
  std::string data;      // empty: what the run held out
  int64_t pairs = 2000;  // at most so many sources
  Decoding decode = default_search;
};

struct ShowOptions {
  std::string weights = "runs/date";
  std::string text, svg, html;
  Decoding decode = default_search;
};

struct TutorialOptions {
  std::string score = "all";
  int64_t iterations = 500;
  double threshold = 0.01, lr = 0.5;
  uint64_t seed = 1;
};

// A setting on the command line: its name with "--", and "-" in the place of "_".
struct Option {
  Setting setting;
  const char* type;  // what --help calls the value
  std::string help;
  bool shows_default = true;  // where it is a value that may be given
};
using Options = std::vector<Option>;

Options options_of(TrainOptions& options);
Options options_of(TranslateOptions& options);
Options options_of(EvaluateOptions& options);
Options options_of(ShowOptions& options);
Options options_of(TutorialOptions& options);

// What config.json holds, and the metadata of weights.
struct Config {
  std::string program = program_version;
  TrainOptions options;
  FileChecksum data;
};
Settings settings_of(Config& config);
Settings settings_of(ModelOptions& options);

std::vector<std::string> model_names();
std::vector<std::string> score_names();

}  // namespace regrad::example

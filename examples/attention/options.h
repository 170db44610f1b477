// What the command line says, as numbers and paths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/attention/translator.h"
#include "ops/backend.h"

namespace regrad::example {

// What computes.
struct Machine {
  int threads = 0;             // 0: as many as there are cores
  std::string device = "cpu";  // or "cuda"

  void use() const {
    if (threads > 0) set_num_threads(threads);
    if (device == "cuda") set_default_device(cuda());
  }
};

struct TrainOptions {
  std::string data;  // empty: dates are generated
  std::string out;   // the run directory; empty: runs/ and the name of the data
  std::string model = "gru";
  std::string score = "additive";
  std::string tokens = "auto";        // auto: bytepair for sentences of words, char for all else
  int64_t merges = -1;                // of bytepair; -1: as many as suit the data
  int64_t embedding = 0, hidden = 0;  // 0, here and below: as suits the data (defaults.h)
  int64_t layers = 0, heads = 4;      // layers of the encoder; heads of a transformer
  bool input_feeding = false, tie_output = false;
  int64_t batch = 64;
  int64_t accumulate = 1;         // batches in a step
  int64_t steps = 0, epochs = 0;  // one of them
  double rate = 0;
  std::string schedule = "cosine";
  int64_t warmup = -1;  // steps; -1: a twentieth of all
  double label_smoothing = 0, clip = 1;
  double dropout = -1;  // -1: as suits the data
  double held_out = 0.1;
  int64_t patience = 0;       // measurements without a better held-out loss; 0: never stop early
  bool until_solved = false;  // end where held-out sources are answered without a mistake
  int64_t save_every = 0;     // steps; 0: a twentieth of all
  int64_t keep = 3;           // checkpoints
  std::string resume;         // the run directory of a run to go on with; its options are taken
  uint64_t seed = 1;
  Machine machine;
  int64_t pairs = 0;       // use only the first so many; of generated dates: how many; 0: all
  int64_t max_length = 0;  // leave out pairs with a side of more tokens; 0: such a pair is an Error

  static constexpr int64_t default_dates = 20000;
};

struct TranslateOptions {
  std::string weights = "runs/date";  // a run directory, or the weights file itself
  std::vector<std::string> texts;
  DecodeOptions decode = usual_search;
};

struct EvaluateOptions {
  std::string weights = "runs/date";  // a run directory, or a weights file
  std::string data;                   // empty: what the run held out
  int64_t pairs = 2000;               // at most so many sources
  DecodeOptions decode = usual_search;
};

struct ShowOptions {
  std::string weights = "runs/date";
  std::string text, svg, html;
  DecodeOptions decode = usual_search;
};

struct TutorialOptions {
  std::string score = "all";
  int64_t iterations = 500;
  double threshold = 0.01, rate = 0.5;
  uint64_t seed = 1;
};

}  // namespace regrad::example

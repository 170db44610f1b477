// What the command line says, as numbers and paths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "examples/attention/translator.h"

namespace regrad::example {

struct TrainOptions {
  std::string data;  // empty: dates are generated
  std::string out;   // the run directory; empty: runs/ and the name of the data
  std::string score = "additive";
  std::string model = "gru";
  std::string tokens = "char";
  int64_t embedding = 32, hidden = 64, batch = 64;
  int64_t steps = 0, epochs = 0;  // one of them; 0: by default
  double rate = 5e-3;
  double dropout = 0;
  double held_out = 0.1;
  uint64_t seed = 1;
  int threads = 0;    // 0: as many as there are cores
  int64_t pairs = 0;  // use only the first so many; of generated dates: how many; 0: all

  // Dates are learnt in so many steps; other data gets so many epochs where that is more.
  static constexpr int64_t default_steps = 600, default_epochs = 5;
  static constexpr int64_t default_dates = 20000;
};

struct TranslateOptions {
  std::string weights = "runs/date";  // a run directory, or the weights file itself
  std::vector<std::string> texts;
  DecodeOptions decode;
  int threads = 0;
};

struct ShowOptions {
  std::string weights = "runs/date";
  std::string text, svg, html;
  DecodeOptions decode;
};

struct TutorialOptions {
  std::string score = "all";
  int64_t iterations = 500;
  double threshold = 0.01, rate = 0.5;
  uint64_t seed = 1;
};

}  // namespace regrad::example

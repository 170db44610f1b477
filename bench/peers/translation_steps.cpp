// The first steps of a translation model, for translation_twin.py to repeat in PyTorch: writes
// DIR/initial.safetensors, DIR/batches.safetensors and DIR/losses.txt.
//   translation_steps DIR [PAIRS-FILE [STEPS [SMOOTHING]]]
// Without a file it learns generated dates, by characters; the pairs of a file by words.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numbers>

#include "autograd/error.h"
#include "examples/attention/dates.h"
#include "examples/attention/translator.h"
#include "optim/optim.h"

namespace {

using namespace regrad;
using namespace regrad::example;

constexpr int64_t batch_size = 64, schedule_steps = 600;
constexpr double rate = 5e-3, clip_norm = 1;

std::vector<std::string> side(const std::vector<Pair>& pairs, std::string Pair::*which) {
  std::vector<std::string> texts;
  for (const Pair& pair : pairs) texts.push_back(pair.*which);
  return texts;
}

// As train does it: up over the first 5 %, then down along half a cosine.
double rate_factor(int64_t step) {
  const double warmup = 0.05 * schedule_steps, done = static_cast<double>(step) + 0.5;
  if (done < warmup) return done / warmup;
  return 0.5 * (1 + std::cos(std::numbers::pi * (done - warmup) / (schedule_steps - warmup)));
}

void run(const std::string& directory, const std::string& file, int64_t steps, double smoothing) {
  std::vector<Pair> pairs = file.empty() ? generate_dates(20000, 1) : read_pairs(file);
  // From the middle of a file that may be ordered by length.
  const auto wanted = static_cast<size_t>(steps * batch_size);
  if (pairs.size() > wanted) {
    const auto from = pairs.begin() + static_cast<int64_t>((pairs.size() - wanted) / 2);
    pairs = std::vector<Pair>(from, from + static_cast<int64_t>(wanted));
  }
  const Tokeniser form = file.empty() ? Tokeniser::character : Tokeniser::word;
  Generator generator(1);
  Translator translator(Vocabulary(side(pairs, &Pair::source), form),
                        Vocabulary(side(pairs, &Pair::target), form),
                        {.score = "additive",
                         .embedding = 32,
                         .hidden = 64,
                         .longest_source = 100,
                         .longest_target = 100},
                        generator);
  std::filesystem::create_directories(directory);
  translator.save(directory + "/initial.safetensors");
  const std::vector<EncodedPair> encoded = encode(pairs, translator.source(), translator.target());
  const std::vector<Tensor> parameters = nn::parameters(translator.model());
  optim::Adam adam(parameters, {.lr = rate});
  nn::NamedTensors batches;
  std::ofstream losses(directory + "/losses.txt");
  losses.precision(9);
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < batch_size; ++i) {
      chosen.push_back((step * batch_size + i) % static_cast<int64_t>(encoded.size()));
    }
    const Batch batch = make_batch(encoded, chosen);
    const std::string number = std::to_string(step);
    batches["source." + number] = batch.source;
    batches["lengths." + number] = batch.source_lengths;
    batches["given." + number] = batch.given;
    batches["wanted." + number] = batch.wanted;
    adam.set_lr(rate * rate_factor(step));
    const Tensor loss = translator.loss(batch, smoothing);
    losses << loss.item<double>() << "\n";
    adam.zero_grad();
    loss.backward();
    optim::clip_grad_norm(parameters, clip_norm);
    adam.step();
  }
  nn::save_safetensors(directory + "/batches.safetensors", batches);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::cerr << "usage: translation_steps DIR [PAIRS-FILE [STEPS [SMOOTHING]]]\n";
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? argv[2] : "", argc > 3 ? std::atoll(argv[3]) : 50,
        argc > 4 ? std::atof(argv[4]) : 0);
  } catch (const regrad::Error& error) {
    std::cerr << "translation_steps: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

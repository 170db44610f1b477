// A run of `attention train` for translation_twin.py to repeat in PyTorch: its first weights, all
// its batches, and its first losses, as DIR/{initial,batches}.safetensors and DIR/losses.txt.
//   translation_steps DIR [PAIRS-FILE [COMPARED [DROPOUT]]]
// Without a file it learns generated dates. COMPARED: of how many steps there are losses, 50 unless
// given. DROPOUT: 0 unless given, since no other library draws the same numbers.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "autograd/error.h"
#include "examples/attention/defaults.h"
#include "examples/attention/trainer.h"
#include "nn/init.h"
#include "ops/ops.h"

namespace {

using namespace regrad;
using namespace regrad::example;

Tensor metadata_of(const TrainOptions& options) {
  return tensor(
      {options.lr, options.clip, options.label_smoothing, static_cast<double>(options.steps)}, {4});
}

void run(const std::string& directory, TrainOptions options, int64_t compared) {
  Task task = read_task(options);
  options = with_defaults(options, task);
  Generator generator(options.seed);
  Translator translator = make_translator(options, task, generator);
  Batches given = make_batches(options, task, nn::fork(generator).seed());
  std::filesystem::create_directories(directory);
  translator.save(directory + "/initial.safetensors");
  const std::vector<Tensor> parameters = nn::parameters(translator.model());
  optim::Adam adam(parameters, {.lr = options.lr});
  optim::WarmupLR schedule = make_schedule(options, adam, options.steps);
  nn::NamedTensors batches;
  std::ofstream losses(directory + "/losses.txt");
  losses.precision(9);
  for (int64_t step = 0; step < options.steps; ++step) {
    const Batch batch = given.next();
    const std::string number = std::to_string(step);
    batches["source." + number] = batch.source;
    batches["lengths." + number] = batch.source_lengths;
    batches["given." + number] = batch.given;
    batches["wanted." + number] = batch.wanted;
    if (step >= compared) continue;
    schedule.set_steps(step);
    const Tensor loss = translator.loss(batch, options.label_smoothing);
    losses << loss.item<double>() << "\n";
    adam.zero_grad();
    loss.backward();
    optim::clip_grad_norm(parameters, options.clip);
    adam.step();
  }
  batches["training"] = metadata_of(options);
  nn::save_safetensors(directory + "/batches.safetensors", batches);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) {
    std::cerr << "usage: translation_steps DIR [PAIRS-FILE [COMPARED [DROPOUT]]]\n";
    return 2;
  }
  try {
    TrainOptions options;
    if (argc > 2) options.data = argv[2];
    options.dropout = argc > 4 ? std::atof(argv[4]) : 0;
    run(argv[1], options, argc > 3 ? std::atoll(argv[3]) : 50);
  } catch (const regrad::Error& error) {
    std::cerr << "translation_steps: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

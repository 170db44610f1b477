// Everything that a run is at a step, as named tensors: a checkpoint holds no more, and a run that
// goes on from it has the same bits as one that never stopped.
#pragma once

#include "examples/attention/translator.h"
#include "examples/runs/run_directory.h"
#include "optim/optim.h"

namespace regrad::example {

struct TrainingState {
  int64_t step = 0;
  Batches::Position position;
  int64_t tokens = 0;  // since the last line of metrics, as the next two
  double loss_sum = 0;
  int64_t loss_count = 0;
  double best_loss = 0;  // on the held-out pairs; meaningful once something was measured
  int64_t measured = 0, without_gain = 0,
          without_mistake = 0;  // measurements; the last two in a row

  void visit(auto&& each) {
    each("step", step);
    each("epoch", position.epoch);
    each("batch", position.index);
    each("tokens", tokens);
    each("loss_sum", loss_sum);
    each("loss_count", loss_count);
    each("best_loss", best_loss);
    each("measured", measured);
    each("without_gain", without_gain);
    each("without_mistake", without_mistake);
  }
};

// Where each random generator of a model is, [seed, position] as int64, and back.
nn::NamedTensors generator_state(TranslationModel& model);
void load_generator_state(TranslationModel& model, const nn::NamedTensors& state);

// "model.", "optimiser.", "generator." and "training." with the names of each.
nn::NamedTensors checkpoint_tensors(TranslationModel& model, const optim::Optimizer& optimiser,
                                    TrainingState state);

// Takes a checkpoint's state; returns the training's. An Error that lists every tensor that is
// missing, left over or of another shape leaves model and optimiser as they were.
TrainingState load_checkpoint(const nn::NamedTensors& tensors, TranslationModel& model,
                              optim::Optimizer& optimiser);

// The part of a checkpoint that is the model, under the model's own names.
nn::NamedTensors model_tensors(const nn::NamedTensors& checkpoint);

}  // namespace regrad::example

#include "examples/attention/checkpoint.h"

#include "autograd/check.h"
#include "ops/ops.h"

namespace regrad::example {
namespace {

Tensor to_tensor(int64_t value) { return scalar(value, int64, cpu); }
Tensor to_tensor(double value) { return scalar(value, float64, cpu); }

template <class Number>
void read(const nn::NamedTensors& tensors, const std::string& name, Number& value) {
  constexpr DType dtype = std::is_same_v<Number, double> ? float64 : int64;
  const Tensor& stored = tensors.at(name);
  check(stored.dtype() == dtype && stored.shape() == Shape(),
        "\"{}\" is {} {}; it must be one number of {}", name, stored.shape().str(),
        regrad::name(stored.dtype()), regrad::name(dtype));
  value = stored.item<Number>();
  check(std::is_same_v<Number, double> || value >= 0, "\"{}\" is {}; it must be 0 or more", name,
        value);
}

nn::NamedTensors part(const nn::NamedTensors& checkpoint, const std::string& prefix) {
  nn::NamedTensors found;
  for (const auto& [name, value] : checkpoint) {
    if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), value);
  }
  return found;
}

void append(nn::NamedTensors& all, const std::string& prefix,
            const std::vector<std::pair<std::string, Tensor>>& part) {
  for (const auto& [name, value] : part) all.emplace_back(prefix + name, value);
}

}  // namespace

nn::NamedTensors generator_state(TranslationModel& model) {
  nn::NamedTensors state;
  for (const auto& [name, generator] : nn::named_generators(model)) {
    state.emplace_back(name, tensor({static_cast<int64_t>(generator->seed()),
                                     static_cast<int64_t>(generator->position())},
                                    {2}, {.device = cpu}));
  }
  return state;
}

void load_generator_state(TranslationModel& model, const nn::NamedTensors& state) {
  std::vector<Generator> loaded;
  const auto generators = nn::named_generators(model);
  for (const auto& [name, generator] : generators) {
    const Tensor& stored = state.at(name);
    check(stored.dtype() == int64 && stored.shape() == Shape({2}),
          "\"{}\" must be a seed and a position", name);
    const std::vector<int64_t> numbers = stored.to_vector<int64_t>();
    loaded.emplace_back(static_cast<uint64_t>(numbers[0]), static_cast<uint64_t>(numbers[1]));
  }
  for (size_t i = 0; i < loaded.size(); ++i) *generators[i].second = loaded[i];
}

nn::NamedTensors checkpoint_tensors(TranslationModel& model, const optim::Optimizer& optimiser,
                                    TrainingState state) {
  nn::NamedTensors all;
  append(all, "model.", nn::state_dict(model));
  append(all, "optimiser.", optimiser.state_dict());
  append(all, "generator.", generator_state(model));
  state.visit([&](const std::string& name, auto& value) {
    all.emplace_back("training." + name, to_tensor(value));
  });
  return all;
}

TrainingState load_checkpoint(const nn::NamedTensors& tensors, TranslationModel& model,
                              optim::Optimizer& optimiser) {
  TrainingState state;
  state.visit(
      [&](const std::string& name, auto& value) { read(tensors, "training." + name, value); });
  nn::load_state_dict(model, model_tensors(tensors));
  optimiser.load_state_dict(part(tensors, "optimiser."));
  load_generator_state(model, part(tensors, "generator."));
  return state;
}

nn::NamedTensors model_tensors(const nn::NamedTensors& checkpoint) {
  return part(checkpoint, "model.");
}

}  // namespace regrad::example

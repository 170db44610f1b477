#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/check.h"
#include "autograd/text.h"
#include "ops/ops.h"

namespace regrad::optim {
namespace {

bool shares_body_with_earlier(const std::vector<Tensor>& tensors, size_t i) {
  for (size_t j = 0; j < i; ++j) {
    if (tensors[j].shares_body(tensors[i])) return true;
  }
  return false;
}

void check_lr(const char* name, double lr) {
  check(lr >= 0 && std::isfinite(lr), "{}: the learning rate must be 0 or more, not {}", name, lr);
}

// Takes tensors out of a state by name, and collects the problems.
struct Reader {
  std::map<std::string, Tensor> given;
  FirstLines problems;

  explicit Reader(const State& state) {
    for (const auto& [name, value] : state) {
      if (!given.emplace(name, value).second) problems.add("twice: " + shortened(name));
    }
  }
  Tensor take(const std::string& name, const Shape& shape, DType dtype, bool needed) {
    const auto entry = given.extract(name);
    if (entry.empty()) {
      if (needed) problems.add("missing: " + name);
      return {};
    }
    const Tensor value = entry.mapped();
    if (value.defined() && value.shape() == shape && value.dtype() == dtype) return value;
    problems.add(fmt::format("{} must be {} {}", name, shape.str(), regrad::name(dtype)));
    return {};
  }
  void check_all(const char* optimiser) {
    for (const auto& [name, value] : given) problems.add("not known: " + shortened(name));
    check(problems.empty(), "{}: this state does not fit the optimiser:{}", optimiser,
          problems.text());
  }
};

std::string key(const std::string& slot, size_t i) { return fmt::format("{}.{}", slot, i); }

}  // namespace

Optimizer::Optimizer(const char* name, std::vector<Tensor> parameters, double lr)
    : name_(name), parameters_(std::move(parameters)), lr_(lr), base_lr_(lr) {
  check_lr(name, lr);
  check(!parameters_.empty(), "{}: there are no parameters to optimise", name);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i];
    check(parameter.defined(), "{}: parameter {} is undefined", name, i);
    check(parameter.is_leaf(),
          "{}: parameter {} is computed by {}; it must be one that a user made", name, i,
          parameter.is_leaf() ? "" : parameter.node()->called());
    check(!shares_body_with_earlier(parameters_, i), "{}: parameter {} was given twice: {}", name,
          i, parameter.name().empty() ? parameter.shape().str() : parameter.name());
  }
}

void Optimizer::zero_grad() {
  for (Tensor& parameter : parameters_) parameter.zero_grad();
}

void Optimizer::check_in_use(bool any_gradient) const {
  if (any_gradient) return;
  const bool is_alone =
      std::all_of(parameters_.begin(), parameters_.end(),
                  [](const Tensor& parameter) { return parameter.is_held_once(); });
  check(!is_alone,
        "{}: no parameter has a gradient, and only the optimiser still has them; nn::to() and "
        "assignments make new ones: make the optimiser after that",
        name_);
}

void Optimizer::set_lr(double lr) {
  set_scheduled_lr(lr);
  base_lr_ = lr;
}

void Optimizer::set_scheduled_lr(double lr) {
  check_lr(name_, lr);
  lr_ = lr;
}

Tensor Optimizer::slot_or_zeros(const Tensor& slot, const Tensor& parameter) {
  return slot.defined() ? slot : zeros_like(parameter);
}

State Optimizer::state_dict() const {
  auto& self = const_cast<Optimizer&>(*this);  // slots() is not const: loading writes through it
  State state = {{"lr", scalar(lr_, float64)}, {"initial_lr", scalar(base_lr_, float64)}};
  for (const auto& [name, slots] : self.slots()) {
    for (size_t i = 0; i < slots->size(); ++i) {
      if ((*slots)[i].defined()) state.emplace_back(key(name, i), (*slots)[i]);
    }
  }
  for (const auto& [name, counts] : self.counters()) {
    state.emplace_back(name, tensor(*counts, {static_cast<int64_t>(counts->size())}));
  }
  return state;
}

void Optimizer::load_state_dict(const State& state) {
  Reader reader(state);
  const NoGrad guard;
  const Tensor lr = reader.take("lr", {}, float64, true);
  const Tensor base = reader.take("initial_lr", {}, float64, false);  // older states have none
  std::vector<std::pair<std::vector<int64_t>*, std::vector<int64_t>>> counted;
  std::vector<bool> stepped(parameters_.size(), false);  // and so must have its slots
  for (const auto& [name, counts] : counters()) {
    const Tensor value = reader.take(name, {static_cast<int64_t>(parameters_.size())}, int64, true);
    if (!value.defined()) continue;
    counted.emplace_back(counts, value.to_vector<int64_t>());
    for (size_t i = 0; i < stepped.size(); ++i) {
      const int64_t count = counted.back().second[i];
      if (count < 0) reader.problems.add(fmt::format("{} holds {}", name, count));
      stepped[i] = stepped[i] || count > 0;
    }
  }
  std::vector<std::pair<Slots*, Slots>> loaded;
  for (const auto& [name, slots] : slots()) {
    Slots values;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& parameter = parameters_[i];
      const Tensor value =
          reader.take(key(name, i), parameter.shape(), parameter.dtype(), stepped[i]);
      values.push_back(value.defined() ? value.to(parameter.device()).clone() : value);
    }
    loaded.emplace_back(slots, std::move(values));
  }
  reader.check_all(name_);
  const double rate = lr.item<double>(),
               base_rate = base.defined() ? base.item<double>() : base_lr_;
  check_lr(name_, base_rate);
  set_scheduled_lr(rate);
  base_lr_ = base_rate;
  for (auto& [slots, values] : loaded) *slots = std::move(values);
  for (auto& [counts, values] : counted) *counts = std::move(values);
}

}  // namespace regrad::optim

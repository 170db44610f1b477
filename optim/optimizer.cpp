#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/check.h"
#include "autograd/text.h"
#include "ops/ops.h"
#include "ops/update.h"

namespace regrad::optim {
namespace {

void check_lr(const char* name, double lr) {
  check(lr >= 0 && std::isfinite(lr), "{}: the learning rate must be 0 or more, not {}", name, lr);
}

std::string key(const std::string& slot, size_t i) { return fmt::format("{}.{}", slot, i); }

// A number for each group; without groups a single one, of shape [].
Shape group_shape(int64_t groups) { return groups == 1 ? Shape{} : Shape{groups}; }

}  // namespace

// Takes tensors out of a state by name, and collects the problems.
struct Optimizer::Reader {
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

Optimizer::Optimizer(const char* name, std::vector<Group> groups,
                     std::initializer_list<const char*> slots, bool counts_steps)
    : name_(name), counts_steps_(counts_steps) {
  for (const Group& group : groups) {
    check_lr(name, group.lr);
    groups_.push_back({group.lr, group.lr, static_cast<int64_t>(group.params.size())});
    for (const Tensor& parameter : group.params) add_parameter(parameter, groups_.size() - 1);
  }
  check(!parameters_.empty(), "{}: there are no parameters to optimise", name);
  for (const char* slot : slots) {
    slots_.push_back({slot, std::vector<Tensor>(parameters_.size())});
  }
  steps_.resize(parameters_.size());
}

void Optimizer::add_parameter(const Tensor& parameter, size_t group) {
  const size_t i = parameters_.size();
  check(parameter.defined(), "{}: parameter {} is undefined", name_, i);
  check(parameter.is_leaf(), "{}: parameter {} is computed by {}; it must be one that a user made",
        name_, i, parameter.is_leaf() ? "" : parameter.node()->called());
  for (size_t j = 0; j < i; ++j) {
    check(!parameters_[j].shares_body(parameter), "{}: parameter {} was given twice{}: {}", name_,
          i, group == group_of_[j] ? "" : fmt::format(", in groups {} and {}", group_of_[j], group),
          parameter.name().empty() ? parameter.shape().str() : parameter.name());
  }
  parameters_.push_back(parameter);
  group_of_.push_back(group);
}

bool Optimizer::has_slot(size_t, size_t) const { return true; }
double Optimizer::initial_value(size_t, size_t) const { return 0; }

void Optimizer::zero_grad() {
  for (Tensor& parameter : parameters_) parameter.zero_grad();
}

std::vector<ParameterUpdate> Optimizer::updates() const {
  std::vector<ParameterUpdate> updates;
  updates.reserve(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i];
    Tensor gradient = parameter.grad();
    if (!gradient.defined()) continue;
    const size_t group = group_of_[i];
    ParameterUpdate& update = updates.emplace_back(
        ParameterUpdate{parameter, std::move(gradient), i, group, steps_[i] + 1});
    for (size_t s = 0; s < slots_.size(); ++s) {
      if (!has_slot(s, group)) continue;
      const Tensor& slot = slots_[s].tensors[i];
      update.state[s] = slot.defined() ? slot : full_like(parameter, initial_value(s, group));
      // Without a count, a state that was loaded is the only sign of earlier steps.
      if (!counts_steps_ && slot.defined()) update.step = std::max<int64_t>(update.step, 2);
    }
  }
  const bool is_alone = updates.empty() && std::all_of(parameters_.begin(), parameters_.end(),
                                                       [](const Tensor& parameter) {
                                                         return parameter.is_held_once();
                                                       });
  check(!is_alone,
        "{}: no parameter has a gradient, and only the optimiser still has them; nn::to() and "
        "assignments make new ones: make the optimiser after that",
        name_);
  return updates;
}

void Optimizer::remember(std::vector<ParameterUpdate>& updates) {
  for (ParameterUpdate& update : updates) {
    for (size_t s = 0; s < slots_.size(); ++s) {
      if (update.state[s].defined()) slots_[s].tensors[update.index] = std::move(update.state[s]);
    }
    steps_[update.index] = update.step;
  }
}

const Optimizer::Rates& Optimizer::checked(int64_t group) const {
  check(group >= 0 && group < num_groups(), "{}: there is no group {} among {}", name_, group,
        num_groups());
  return groups_[static_cast<size_t>(group)];
}

void Optimizer::set_lr(double lr) {
  for (int64_t group = 0; group < num_groups(); ++group) set_lr(lr, group);
}

void Optimizer::set_lr(double lr, int64_t group) {
  set_scheduled_lr(lr, group);
  groups_[static_cast<size_t>(group)].base_lr = lr;
}

void Optimizer::set_scheduled_lr(double lr, int64_t group) {
  checked(group);
  check_lr(name_, lr);
  groups_[static_cast<size_t>(group)].lr = lr;
}

State Optimizer::state_dict() const {
  std::vector<double> rates, bases;
  std::vector<int64_t> sizes;
  for (const Rates& group : groups_) {
    rates.push_back(group.lr);
    bases.push_back(group.base_lr);
    sizes.push_back(group.size);
  }
  const Shape shape = group_shape(num_groups());
  State state = {{"lr", tensor(rates, shape)}, {"initial_lr", tensor(bases, shape)}};
  if (num_groups() > 1) state.emplace_back("group_sizes", tensor(sizes, shape));
  for (const Slot& slot : slots_) {
    for (size_t i = 0; i < slot.tensors.size(); ++i) {
      if (slot.tensors[i].defined()) state.emplace_back(key(slot.name, i), slot.tensors[i]);
    }
  }
  if (counts_steps_) {
    state.emplace_back("steps", tensor(steps_, {static_cast<int64_t>(steps_.size())}));
  }
  return state;
}

std::vector<Optimizer::Rates> Optimizer::read_groups(Reader& reader) const {
  std::vector<Rates> groups = groups_;
  const Shape shape = group_shape(num_groups());
  const Tensor lr = reader.take("lr", shape, float64, true);
  const Tensor base = reader.take("initial_lr", shape, float64, false);  // older states have none
  const Tensor sizes = num_groups() > 1 ? reader.take("group_sizes", shape, int64, true) : Tensor();
  for (size_t i = 0; i < groups.size(); ++i) {
    if (lr.defined()) groups[i].lr = lr.to_vector<double>()[i];
    if (base.defined()) groups[i].base_lr = base.to_vector<double>()[i];
    if (!sizes.defined()) continue;
    const int64_t size = sizes.to_vector<int64_t>()[i];
    if (size != groups[i].size) {
      reader.problems.add(
          fmt::format("group {} has {} parameters, not {}", i, groups[i].size, size));
    }
  }
  return groups;
}

std::vector<int64_t> Optimizer::read_steps(Reader& reader) const {
  std::vector<int64_t> steps(parameters_.size());
  if (!counts_steps_) return steps;
  const Tensor value = reader.take("steps", {static_cast<int64_t>(steps.size())}, int64, true);
  if (!value.defined()) return steps;
  steps = value.to_vector<int64_t>();
  for (const int64_t count : steps) {
    if (count < 0) reader.problems.add(fmt::format("steps holds {}", count));
  }
  return steps;
}

std::vector<Optimizer::Slot> Optimizer::read_slots(Reader& reader,
                                                   const std::vector<int64_t>& steps) const {
  std::vector<Slot> slots = slots_;
  for (size_t s = 0; s < slots.size(); ++s) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Tensor& parameter = parameters_[i];
      const bool needed = steps[i] > 0 && has_slot(s, group_of_[i]);
      const Tensor value =
          reader.take(key(slots[s].name, i), parameter.shape(), parameter.dtype(), needed);
      slots[s].tensors[i] = value.defined() ? value.to(parameter.device()).clone() : value;
    }
  }
  return slots;
}

void Optimizer::load_state_dict(const State& state) {
  Reader reader(state);
  const NoGrad guard;
  std::vector<Rates> groups = read_groups(reader);
  std::vector<int64_t> steps = read_steps(reader);
  std::vector<Slot> slots = read_slots(reader, steps);
  reader.check_all(name_);
  for (const Rates& group : groups) {
    check_lr(name_, group.lr);
    check_lr(name_, group.base_lr);
  }
  groups_ = std::move(groups);
  steps_ = std::move(steps);
  slots_ = std::move(slots);
}

}  // namespace regrad::optim

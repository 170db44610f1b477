// What all optimisers share: the parameters in their groups, the learning rates, and state that can
// be saved. Parameters without a gradient are left alone.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace regrad {
struct ParameterUpdate;  // ops/update.h, which an optimiser of one's own includes
}

namespace regrad::optim {

using State = std::vector<std::pair<std::string, Tensor>>;  // what save_safetensors() takes

// Groups of parameters have options of their own: every optimiser also takes a list of groups, each
// the parameters and any of its options, and then the options of all that a group leaves out:
//   SGD({{.params = a, .lr = 0.1}, {.params = b, .weight_decay = 0}}, {.lr = 0.01})
// Groups are numbered as they were given, from 0; parameters given without groups are group 0.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step() = 0;  // moves every parameter that has a gradient, in place
  void zero_grad();         // clears the gradient of every parameter
  // How many groups there are, 1 for parameters given without.
  int64_t num_groups() const { return static_cast<int64_t>(groups_.size()); }
  // The learning rate of a group's next step; an Error where there is no such group.
  double lr(int64_t group = 0) const { return checked(group).lr; }
  void set_lr(double lr);  // of all groups, for the next step on; an Error unless finite and >= 0
  void set_lr(double lr, int64_t group);  // of one group, likewise
  // The rate that the user set last, from which schedules start; saved and loaded with the state.
  double base_lr(int64_t group = 0) const { return checked(group).base_lr; }
  // As they were given; those of the first group come first.
  const std::vector<Tensor>& parameters() const { return parameters_; }

  // The learning rates and what the optimiser remembers of each parameter, by the parameter's
  // number; the other options are the program's to give again. The tensors share memory with the
  // optimiser: save or clone them before the next step. With more than one group, rates are
  // [groups], and group_sizes says how many parameters each has.
  State state_dict() const;
  // One Error for anything missing, left over or of a wrong shape, groups of other sizes among
  // them; nothing is changed then.
  void load_state_dict(const State& state);

 protected:
  struct Group {
    std::vector<Tensor> params;
    double lr;
  };
  // Of each parameter a tensor of its shape is remembered for every slot, by the slot's name, from
  // its first step on; and, if counts_steps, how many steps it took. An Error for no parameters,
  // one that is undefined, computed by an op, or given twice, and for a rate below 0.
  Optimizer(const char* name, std::vector<Group> groups, std::initializer_list<const char*> slots,
            bool counts_steps = true);
  // What it takes, from the optimiser's own groups; lr where a group has none.
  template <class Given>
  static std::vector<Group> groups_of(const std::vector<Given>& given, double lr) {
    std::vector<Group> groups;
    for (const Given& one : given) groups.push_back({one.params, one.lr.value_or(lr)});
    return groups;
  }
  // Whether the parameters of a group have that slot, and what it starts from.
  virtual bool has_slot(size_t slot, size_t group) const;
  virtual double initial_value(size_t slot, size_t group) const;

  // What step() moves: each parameter that has a gradient, with its state, new where it has none.
  // An Error where there is none because nobody else has the parameters any more.
  std::vector<ParameterUpdate> updates() const;
  void remember(std::vector<ParameterUpdate>& updates);  // after they were made; cannot fail

  const char* name_;
  std::vector<Tensor> parameters_;

 private:
  friend class Schedule;
  friend class ReduceOnPlateau;
  struct Rates {
    double lr, base_lr;
    int64_t size;  // how many parameters
  };
  struct Slot {
    std::string name;
    std::vector<Tensor> tensors;
  };
  struct Reader;
  const Rates& checked(int64_t group) const;
  void set_scheduled_lr(double lr, int64_t group);  // of a schedule: base_lr() stays as it is
  void add_parameter(const Tensor& parameter, size_t group);
  std::vector<Rates> read_groups(Reader& reader) const;
  std::vector<int64_t> read_steps(Reader& reader) const;
  std::vector<Slot> read_slots(Reader& reader, const std::vector<int64_t>& steps) const;

  std::vector<Rates> groups_;
  std::vector<size_t> group_of_;  // each parameter
  std::vector<Slot> slots_;
  bool counts_steps_;
  std::vector<int64_t> steps_;
};

}  // namespace regrad::optim

// What all optimisers share: the parameters, the learning rate, and state that can be saved.
// Parameters without a gradient are left alone.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "autograd/tensor.h"

namespace regrad::optim {

using State = std::vector<std::pair<std::string, Tensor>>;  // what save_safetensors() takes

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual void step() = 0;           // moves every parameter that has a gradient, in place
  void zero_grad();                  // clears the gradient of every parameter
  double lr() const { return lr_; }  // of the next step
  void set_lr(double lr);            // for the next step on; an Error unless finite and 0 or more
  // The rate that the user set last, from which schedules start; saved and loaded with the state.
  double base_lr() const { return base_lr_; }
  const std::vector<Tensor>& parameters() const { return parameters_; }  // as they were given

  // The learning rates and what the optimiser remembers of each parameter, by the parameter's
  // number. The tensors share memory with the optimiser: save or clone them before the next step.
  State state_dict() const;
  // One Error for anything missing, left over or of a wrong shape; nothing is changed then.
  void load_state_dict(const State& state);

 protected:
  // Under `name`, one slot for each parameter: undefined until the parameter is first stepped.
  using Slots = std::vector<Tensor>;
  Optimizer(const char* name, std::vector<Tensor> parameters, double lr);
  virtual std::vector<std::pair<std::string, Slots*>> slots() = 0;
  virtual std::vector<std::pair<std::string, std::vector<int64_t>*>> counters() { return {}; }

  // The slot's tensor, or zeros before the first step.
  static Tensor slot_or_zeros(const Tensor& slot, const Tensor& parameter);

  // An Error where a step moves nothing because nobody else has the parameters any more.
  void check_in_use(bool any_gradient) const;

  const char* name_;
  std::vector<Tensor> parameters_;
  double lr_;

 private:
  friend class Schedule;
  friend class ReduceOnPlateau;
  void set_scheduled_lr(double lr);  // of a schedule: base_lr() stays as it is

  double base_lr_;
};

}  // namespace regrad::optim

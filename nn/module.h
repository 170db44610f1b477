// A module is a struct whose visit() hands over each of its members by name:
//   void visit(auto&& each) { each("weight", weight); each("inner", inner); }
// Parameters, their names, checkpoints, moving, counting and printing all follow from that: a
// member that visit() leaves out is not trained, saved or moved. A buffer, a tensor that is saved
// and moved but not trained (batch norm's running mean), is handed over by
//   each.buffer("running_mean", running_mean); A copy of a module shares its
// parameters, as copied tensors share numbers; clone() makes a separate one.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "autograd/tensor.h"
#include "ops/random.h"

namespace regrad::nn {

// Tensors under their names, in order: what state_dict() gives and a checkpoint holds.
class NamedTensors : public std::vector<std::pair<std::string, Tensor>> {
 public:
  using Base = std::vector<std::pair<std::string, Tensor>>;
  using Base::Base;
  // From any list or map of names and tensors.
  NamedTensors(Base tensors) : Base(std::move(tensors)) {}
  NamedTensors(const std::map<std::string, Tensor>& tensors)
      : Base(tensors.begin(), tensors.end()) {}

  using Base::at;
  using Base::operator[];
  bool contains(std::string_view name) const;     // whether there is one of that name
  const Tensor& at(std::string_view name) const;  // an Error when there is none of that name
  Tensor& operator[](std::string_view name);      // adds an undefined one, as a map does
};

class Visitor;

// A type with visit(each).
template <class T>
concept Module = requires(T& module, Visitor& each) {
  module.visit(each);
};

// What visit() is called with. It takes tensors (parameters), modules, optional, variant and vector
// of these (a vector's elements are called "0", "1", ..), the bool that train() and eval() switch,
// and random generators.
class Visitor {
 public:
  struct Actions {
    std::function<void(const std::string& path, Tensor& parameter)> tensor = nullptr;
    std::function<void(bool& training)> training = nullptr;
    std::function<void(const std::string& path, Generator& generator)> generator = nullptr;
    std::function<void(const std::string& path, Tensor& buffer)> buffer = nullptr;
  };
  // Calls the actions that are given; a member without one is passed over.
  explicit Visitor(Actions actions) : actions_(std::move(actions)) {}

  template <class Member>
  void operator()(std::string_view name, Member& member) {
    static_assert(!std::is_const_v<Member>, "visit() must not be a const member function");
    at(name, [&] { visit_member(member); });
  }
  // Hands over a buffer: saved and moved with the model, never trained or counted.
  void buffer(std::string_view name, Tensor& tensor) {
    at(name, [&] {
      if (tensor.defined() && actions_.buffer) actions_.buffer(path_, tensor);
    });
  }

 private:
  // Calls body with the name added to the path.
  template <class Body>
  void at(std::string_view name, const Body& body) {
    const size_t length = path_.size();
    if (!path_.empty() && !name.empty()) path_ += '.';
    path_ += name;
    body();
    path_.resize(length);
  }
  void visit_member(Tensor& tensor) {
    if (tensor.defined() && actions_.tensor) actions_.tensor(path_, tensor);
  }
  void visit_member(bool& training) {
    if (actions_.training) actions_.training(training);
  }
  void visit_member(Generator& generator) {
    if (actions_.generator) actions_.generator(path_, generator);
  }
  template <class T>
  void visit_member(std::optional<T>& member) {
    if (member) visit_member(*member);
  }
  template <class... T>
  void visit_member(std::variant<T...>& member) {
    std::visit([this](auto& held) { this->visit_member(held); }, member);
  }
  template <class T>
  void visit_member(std::vector<T>& members) {
    for (size_t i = 0; i < members.size(); ++i) (*this)(std::to_string(i), members[i]);
  }
  template <Module T>
  void visit_member(T& module) {
    module.visit(*this);
  }
  template <class T>
  void visit_member(T&) {
    static_assert(sizeof(T) == 0,
                  "visit() takes tensors, modules (with a visit() of their own), optional, variant "
                  "and vector of these, bool training, and Generator");
  }

  Actions actions_;
  std::string path_;
};

// Calls the actions for every member of a module, and of the modules in it. visit() is not const,
// so that it is written once; actions that only read are called for const modules too.
template <Module M>
void walk(const M& module, Visitor::Actions actions) {
  Visitor visitor(std::move(actions));
  const_cast<M&>(module).visit(visitor);
}

namespace detail {

void name_parameter(const std::string& path, Tensor& parameter);
void add_distinct(NamedTensors& found, const std::string& path, Tensor& parameter);
void load(const NamedTensors& parameters, const NamedTensors& state);
std::string describe(const NamedTensors& parameters);

// Replaces every parameter by change(parameter); one that occurs twice still occurs twice.
class Replacement {
 public:
  explicit Replacement(std::function<Tensor(const Tensor&)> change) : change_(std::move(change)) {}
  void operator()(Tensor& parameter);

 private:
  std::function<Tensor(const Tensor&)> change_;
  std::vector<std::pair<Tensor, Tensor>> done_;
};

}  // namespace detail

// Every parameter under its dotted name ("decoder.attention.query.weight"), in the order of
// visit(). One that a model uses in two places comes once. A parameter learns its name here, and
// errors call it by that; a longer name for it, from a visit of a larger model, takes the place of
// a shorter.
template <Module M>
NamedTensors named_parameters(const M& module) {
  NamedTensors found;
  walk(module, {.tensor = [&](const std::string& path, Tensor& parameter) {
         detail::add_distinct(found, path, parameter);
       }});
  return found;
}

// The same without the names.
template <Module M>
std::vector<Tensor> parameters(const M& module) {
  std::vector<Tensor> found;
  for (auto& [name, parameter] : named_parameters(module)) found.push_back(parameter);
  return found;
}

// Every buffer under its dotted name, in the order of visit(); one in two places comes once.
template <Module M>
NamedTensors named_buffers(const M& module) {
  NamedTensors found;
  walk(module, {.buffer = [&](const std::string& path, Tensor& buffer) {
         detail::add_distinct(found, path, buffer);
       }});
  return found;
}

// The same without the names.
template <Module M>
std::vector<Tensor> buffers(const M& module) {
  std::vector<Tensor> found;
  for (auto& [name, buffer] : named_buffers(module)) found.push_back(buffer);
  return found;
}

template <Module M>
int64_t num_parameters(const M& module) {  // numbers, not tensors
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters(module)) count += parameter.numel();
  return count;
}

namespace detail {

// Calls action for every parameter and buffer, in the order of visit().
template <Module M, class Action>
void walk_tensors(const M& module, const Action& action) {
  walk(module, {.tensor = action, .buffer = action});
}

}  // namespace detail

// The parameters' and buffers' numbers by name, outside the graph. They share memory with the
// model: what an optimiser writes later shows in them. A parameter used in two places comes under
// both names.
template <Module M>
NamedTensors state_dict(const M& module) {
  NamedTensors state;
  detail::walk_tensors(module, [&](const std::string& path, Tensor& tensor) {
    detail::name_parameter(path, tensor);
    state.emplace_back(path, detached(tensor));
  });
  return state;
}

// Copies numbers into the parameters and buffers, in place. All names, shapes and dtypes must
// match: otherwise one Error lists everything missing, left over or different, and the model is as
// it was.
template <Module M>
void load_state_dict(M& module, const NamedTensors& state) {
  NamedTensors all;
  detail::walk_tensors(module, [&](const std::string& path, Tensor& tensor) {
    detail::name_parameter(path, tensor);
    all.emplace_back(path, tensor);
  });
  detail::load(all, state);
}

// The parameters and buffers become new tensors on the device. Call it before making an optimiser,
// which keeps the parameters that it was given.
template <Module M>
void to(M& module, Device device) {
  detail::Replacement replace([=](const Tensor& tensor) { return tensor.to(device); });
  detail::walk_tensors(module, [&](const std::string&, Tensor& tensor) { replace(tensor); });
}

// The same for a dtype, float32 or float64; parameters of other dtypes stay as they are.
template <Module M>
void to(M& module, DType dtype) {
  detail::Replacement replace(
      [=](const Tensor& tensor) { return is_float(tensor.dtype()) ? tensor.to(dtype) : tensor; });
  detail::walk_tensors(module, [&](const std::string&, Tensor& tensor) { replace(tensor); });
}

// A copy with parameters and buffers of its own, of the same values and names, and without
// gradients.
template <Module M>
M clone(const M& module) {
  M copy = module;
  detail::Replacement replace([](const Tensor& tensor) { return tensor.clone(); });
  detail::walk_tensors(copy, [&](const std::string&, Tensor& tensor) { replace(tensor); });
  return copy;
}

template <Module M>
void train(M& module, bool on = true) {  // dropout drops, batch norm goes by the batch
  walk(module, {.training = [on](bool& training) { training = on; }});
}

template <Module M>
void eval(M& module) {  // dropout passes everything on
  train(module, false);
}

// The random generators of a model (dropout's), so that a checkpoint can hold their positions.
template <Module M>
std::vector<std::pair<std::string, Generator*>> named_generators(M& module) {
  std::vector<std::pair<std::string, Generator*>> found;
  walk(module, {.generator = [&](const std::string& path, Generator& generator) {
         found.emplace_back(path, &generator);
       }});
  return found;
}

// Clears the gradient of every parameter.
template <Module M>
void zero_grad(M& module) {
  for (Tensor& parameter : parameters(module)) parameter.zero_grad();
}

// One line for each parameter (name, shape, dtype), and the number of parameters.
template <Module M>
std::string str(const M& module) {
  return detail::describe(named_parameters(module));
}

}  // namespace regrad::nn

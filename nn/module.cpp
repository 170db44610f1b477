#include "nn/module.h"

#include <algorithm>

#include "autograd/check.h"

namespace regrad::nn {
namespace {

auto find(const NamedTensors& tensors, std::string_view name) {
  return std::find_if(tensors.begin(), tensors.end(),
                      [&](const auto& entry) { return entry.first == name; });
}

std::string shown(const Tensor& x) {
  return fmt::format("{} {}", x.shape().str(), name(x.dtype()));
}

// What keeps `state` from being loaded into `parameters`, one line each; empty when nothing does.
std::string mismatches(const NamedTensors& parameters, const NamedTensors& state) {
  std::map<std::string_view, const Tensor*> wanted;
  for (const auto& [name, parameter] : parameters) wanted.emplace(name, &parameter);
  std::map<std::string_view, const Tensor*> given;
  std::string text;
  for (const auto& [name, value] : state) {
    if (!given.emplace(name, &value).second) text += fmt::format("\n  twice: {}", name);
  }
  for (const auto& [name, parameter] : parameters) {
    const auto at = given.find(name);
    if (at == given.end() || !at->second->defined()) {
      text += fmt::format("\n  missing: {} {}", name, shown(parameter));
    } else if (at->second->shape() != parameter.shape()) {
      text += fmt::format("\n  wrong shape: {} is {}, the model has {}", name,
                          at->second->shape().str(), parameter.shape().str());
    } else if (at->second->dtype() != parameter.dtype()) {
      text += fmt::format("\n  wrong dtype: {} is {}, the model has {}", name,
                          regrad::name(at->second->dtype()), regrad::name(parameter.dtype()));
    }
  }
  for (const auto& [name, value] : given) {
    if (!wanted.contains(name))
      text += fmt::format("\n  not in the model: {} {}", name,
                          value->defined() ? shown(*value) : "undefined");
  }
  return text;
}

}  // namespace

bool NamedTensors::contains(std::string_view name) const { return find(*this, name) != end(); }

const Tensor& NamedTensors::at(std::string_view name) const {
  const auto entry = find(*this, name);
  check(entry != end(), "there is no tensor named \"{}\" among {}", name, size());
  return entry->second;
}

Tensor& NamedTensors::operator[](std::string_view name) {
  const auto entry = std::find_if(begin(), end(), [&](const auto& e) { return e.first == name; });
  return entry != end() ? entry->second : emplace_back(std::string(name), Tensor()).second;
}

namespace detail {

void name_parameter(const std::string& path, Tensor& parameter) {
  const std::string before = parameter.name();
  if (before.empty() || (path.size() > before.size() && path.ends_with("." + before))) {
    parameter.set_name(path);
  }
}

void add_distinct(NamedTensors& found, const std::string& path, Tensor& parameter) {
  for (const auto& [name, other] : found) {
    if (other.shares_body(parameter)) return;
    check(name != path,
          "visit: two parameters are called \"{}\"; give each member a name of its own", path);
  }
  name_parameter(path, parameter);
  found.emplace_back(path, parameter);
}

void load(const NamedTensors& parameters, const NamedTensors& state) {
  const std::string wrong = mismatches(parameters, state);
  check(wrong.empty(), "load_state_dict: the tensors do not fit the model:{}", wrong);
  const NoGrad guard;
  std::vector<Tensor> staged;  // so that what can fail has failed before the first write
  for (const auto& [name, parameter] : parameters) {
    staged.push_back(state.at(name).to(parameter.device()));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    Tensor parameter = parameters[i].second;
    parameter.copy_(staged[i]);
  }
}

void Replacement::operator()(Tensor& parameter) {
  for (const auto& [before, after] : done_) {
    if (before.shares_body(parameter)) {
      parameter = after;
      return;
    }
  }
  const NoGrad guard;
  Tensor changed = change_(parameter.detach()).detach();
  if (parameter.requires_grad()) {
    changed.set_requires_grad(true);
    changed.set_name(parameter.name());
  }
  done_.emplace_back(parameter, changed);
  parameter = changed;
}

std::string describe(const NamedTensors& parameters) {
  size_t widest = 0;
  int64_t count = 0;
  for (const auto& [name, parameter] : parameters) {
    widest = std::max(widest, name.size());
    count += parameter.numel();
  }
  std::string text;
  for (const auto& [name, parameter] : parameters) {
    text += fmt::format("{:<{}}  {}\n", name, widest, shown(parameter));
  }
  return text + fmt::format("{} numbers in {} tensors\n", count, parameters.size());
}

}  // namespace detail
}  // namespace regrad::nn

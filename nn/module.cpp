#include "nn/module.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "autograd/check.h"
#include "autograd/text.h"

namespace regrad::nn {
namespace {

auto find(const NamedTensors& tensors, std::string_view name) {
  return std::find_if(tensors.begin(), tensors.end(),
                      [&](const auto& entry) { return entry.first == name; });
}

std::string shown(const Tensor& x) {
  return fmt::format("{} {}", x.shape().str(), name(x.dtype()));
}

bool is_same_memory(const Tensor& a, const Tensor& b) {
  const TensorBody &x = a.body(), &y = b.body();
  return x.storage.get() == y.storage.get() && x.offset == y.offset && x.strides == y.strides;
}

bool holds_same_numbers(const Tensor& a, const Tensor& b) {
  if (is_same_memory(a, b)) return true;
  const NoGrad guard;
  const Tensor x = a.to(cpu).contiguous(), y = b.to(cpu).contiguous();
  const size_t bytes = static_cast<size_t>(x.numel()) * item_size(x.dtype());
  return bytes == 0 || std::memcmp(x.address(x.dtype()), y.address(y.dtype()), bytes) == 0;
}

// Names of one parameter under which `state`, which fits otherwise, has different numbers.
FirstLines differing_copies(const NamedTensors& parameters, const NamedTensors& state) {
  std::map<const Storage*, size_t> first;
  FirstLines lines;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, parameter] = parameters[i];
    const auto [entry, is_new] = first.emplace(parameter.body().storage.get(), i);
    const auto& [other_name, other] = parameters[entry->second];
    if (is_new || !is_same_memory(parameter, other)) continue;
    if (holds_same_numbers(state.at(name), state.at(other_name))) continue;
    lines.add(fmt::format("{} and {} are one parameter, and their numbers differ",
                          shortened(other_name), shortened(name)));
  }
  return lines;
}

// Why `state` cannot be loaded into `parameters`, a line for each reason; empty when it can.
FirstLines mismatches(const NamedTensors& parameters, const NamedTensors& state) {
  std::map<std::string_view, const Tensor*> wanted;
  for (const auto& [name, parameter] : parameters) wanted.emplace(name, &parameter);
  std::map<std::string_view, const Tensor*> given;
  FirstLines lines;
  for (const auto& [name, value] : state) {
    if (!given.emplace(name, &value).second) lines.add("twice: " + shortened(name));
  }
  for (const auto& [name, parameter] : parameters) {
    const auto entry = given.find(name);
    if (entry == given.end() || !entry->second->defined()) {
      lines.add(fmt::format("missing: {} {}", shortened(name), shown(parameter)));
    } else if (entry->second->shape() != parameter.shape()) {
      lines.add(fmt::format("wrong shape: {} is {}, the model has {}", shortened(name),
                            entry->second->shape().str(), parameter.shape().str()));
    } else if (entry->second->dtype() != parameter.dtype()) {
      lines.add(fmt::format("wrong dtype: {} is {}, the model has {}", shortened(name),
                            regrad::name(entry->second->dtype()), regrad::name(parameter.dtype())));
    }
  }
  for (const auto& [name, value] : given) {
    if (wanted.contains(name)) continue;
    lines.add(fmt::format("not in the model: {} {}", shortened(name),
                          value->defined() ? shown(*value) : "undefined"));
  }
  return lines;
}

}  // namespace

bool NamedTensors::contains(std::string_view name) const { return find(*this, name) != end(); }

const Tensor& NamedTensors::at(std::string_view name) const {
  const auto entry = find(*this, name);
  check(entry != end(), "there is no tensor named \"{}\" among {}", shortened(name), size());
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
  FirstLines wrong = mismatches(parameters, state);
  if (wrong.empty()) wrong = differing_copies(parameters, state);
  check(wrong.empty(), "load_state_dict: the tensors do not fit the model:{}", wrong.text());
  const NoGrad guard;
  std::set<const Storage*> written;
  for (const auto& [name, parameter] : parameters) written.insert(parameter.body().storage.get());
  std::vector<Tensor> staged;  // everything that can fail comes before the first write
  for (const auto& [name, parameter] : parameters) {
    const Tensor value = state.at(name).to(parameter.device());
    const bool overwritten =
        written.contains(value.body().storage.get()) && !is_same_memory(value, parameter);
    staged.push_back(overwritten ? value.clone() : value);
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
  Tensor changed = detached(change_(detached(parameter)));
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

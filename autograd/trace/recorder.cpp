#include "autograd/trace/recorder.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "autograd/graph.h"
#include "autograd/names.h"
#include "autograd/trace/call_stack.h"
#include "autograd/trace/document.h"
#include "nn/files.h"

namespace regrad {
namespace {

// The command that runs, from the kernel: the library has no main() of its own.
std::vector<std::string> command_line() {
  std::vector<std::string> words;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).string(); }

}  // namespace

constinit thread_local int Recorder::depth_of_locks_ = 0;

Recorder::Recorder(const std::string& path, int64_t step, bool by_environment)
    : given_path_(path),
      path_(absolute(path)),
      wanted_step_(step),
      by_environment_(by_environment),
      process_(::getpid()) {
  nn::files::in_file(path, [&] { nn::files::Output{path_}; });  // refuses what could not be written
  std::vector<std::string> words = command_line();
  if (!words.empty()) {
    recording_.program = words[0];
    recording_.arguments.assign(words.begin() + 1, words.end());
  }
  write_at_the_end(*this);
}

Recorder::~Recorder() {
  interrupt(recording_.failed ? "Error: " + recording_.failed->text
            : passes_ == 0
                ? "the program ended before a backward pass did"
                : "the program ended after " + std::to_string(passes_) + " backward passes; " +
                      std::to_string(wanted_step_) + " were asked for");
  forget(*this);
}

Recorder::Key Recorder::key_of(const Node& node) { return {&node, node.number}; }
Recorder::Key Recorder::key_of(const Tensor& x) {
  return x.requires_grad() ? key_of(*x.node()) : Key{&x.body(), 0};
}

// Tensors of a graph are known by their nodes' numbers, which are not used twice.
void Recorder::hold(const Tensor& x, const Key& key) {
  if (x.requires_grad()) return;
  held_.push_back({x, key});
  held_bytes_ += x.body().storage->bytes();
  while (held_bytes_ > max_held_bytes && held_.size() > 1) {
    held_bytes_ -= held_.front().tensor.body().storage->bytes();
    tensors_.erase(held_.front().key);
    held_.pop_front();
  }
}

int Recorder::add_tensor(const Key& key, const Tensor& x, int op) {
  const int index = static_cast<int>(recording_.tensors.size());
  recording_.tensors.push_back({.name = x.name(),
                                .shape = x.shape(),
                                .dtype = x.dtype(),
                                .dims = dim_names(x),
                                .op = op,
                                .requires_grad = x.requires_grad(),
                                .value = RecordedValue(x),
                                .gradient = {}});
  storages_.push_back(x.body().storage.get());
  tensors_[key] = index;
  hold(x, key);
  return index;
}

int Recorder::tensor_index(const Tensor& x) {
  const Key key = key_of(x);
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) return add_tensor(key, x, -1);
  RecordedTensor& known = recording_.tensors[static_cast<size_t>(found->second)];
  if (known.name.empty()) known.name = x.name();  // it was visited since
  return found->second;
}

// Of a node whose tensor no op was given while this recorded: only its shape is known.
int Recorder::tensor_index(const Node& node) {
  const auto [place, is_new] =
      tensors_.emplace(key_of(node), static_cast<int>(recording_.tensors.size()));
  if (is_new) {
    storages_.push_back(node.storage);
    recording_.tensors.push_back({.name = node.is_leaf() ? node.parameter : node.called(),
                                  .shape = node.shape,
                                  .dtype = node.dtype,
                                  .dims = {},
                                  .op = -1,
                                  .requires_grad = true,
                                  .value = {},
                                  .gradient = {}});
  }
  return place->second;
}

void Recorder::computed(const Op& op) {
  const Lock lock(*this);
  if (is_written_) return;
  if (in_derivative_) {
    if (!recording_.backward.empty()) recording_.backward.back().own_ops.emplace_back(op.name);
    return;
  }
  if (recording_.ops.size() == max_ops) {
    ++recording_.ops_left_out;
    return;
  }
  recording_.failed.reset();  // the program has gone on after that Error
  const int index = static_cast<int>(recording_.ops.size());
  RecordedOp recorded{.name = op.name, .site = call_site(), .inputs = {}, .unrecorded = {}};
  for (const Tensor& input : op.inputs) {
    recorded.inputs.push_back(input.defined() ? tensor_index(input) : -1);
  }
  recorded.output = add_tensor(key_of(op.output), op.output, index);
  if (op.unrecorded != nullptr) recorded.unrecorded = op.unrecorded;
  recording_.ops.push_back(std::move(recorded));
}

void Recorder::failed(const std::string& text) {
  const Lock lock(*this);
  recording_.failed = {text, call_site()};
  depth_ = 0;
  in_derivative_ = false;
}

// Its numbers change: what uses them from now on uses another tensor. The result of an op in a
// graph stays, for backward() looks for its node.
void Recorder::written(const char*, const Tensor& x) {
  const Lock lock(*this);
  const Storage* const storage = x.body().storage.get();
  std::erase_if(tensors_, [&](const auto& entry) {
    const size_t index = static_cast<size_t>(entry.second);
    const RecordedTensor& known = recording_.tensors[index];
    return storages_[index] == storage && (known.op < 0 || !known.requires_grad);
  });
}

void Recorder::started(const Tensor&) {
  const Lock lock(*this);
  ++depth_;
}

void Recorder::took(const Node& node, const Tensor& gradient) {
  const Lock lock(*this);
  in_derivative_ = true;
  const auto found = tensors_.find(key_of(node));
  RecordedStep step;
  step.name = node.name;
  step.gradient = RecordedValue(gradient);
  if (found != tensors_.end()) {
    RecordedTensor& tensor = recording_.tensors[static_cast<size_t>(found->second)];
    tensor.gradient = step.gradient;
    step.op = tensor.op;
    if (step.op >= 0) {
      recording_.ops[static_cast<size_t>(step.op)].step =
          static_cast<int>(recording_.backward.size());
    }
  }
  recording_.backward.push_back(std::move(step));
}

void Recorder::gave(const Node& node, size_t input, const Tensor& addend, const Tensor& sum) {
  const Lock lock(*this);
  const int index = tensor_index(*node.edge(input).input);
  RecordedTensor& tensor = recording_.tensors[static_cast<size_t>(index)];
  tensor.gradient = RecordedValue(sum);
  recording_.backward.back().contributions.push_back({.input = static_cast<int>(input),
                                                      .tensor = index,
                                                      .addend = RecordedValue(addend),
                                                      .sum = *tensor.gradient,
                                                      .nth = ++tensor.uses});
}

void Recorder::finished(const Node&) {
  const Lock lock(*this);
  in_derivative_ = false;
}

void Recorder::ended() {
  const Lock lock(*this);
  if (depth_ > 0 && --depth_ > 0) return;  // a pass inside a derivative of another
  if (++passes_ < wanted_step_) return start_over();
  recording_.step = passes_;
  write("");
  leave();
}

void Recorder::start_over() {
  recording_.tensors.clear(), recording_.ops.clear(), recording_.backward.clear();
  recording_.failed.reset();
  recording_.ops_left_out = 0;
  tensors_.clear(), storages_.clear(), held_.clear();
  held_bytes_ = 0;
}

std::string Recorder::made_at(const Node& node) const {
  const auto found = tensors_.find(key_of(node));
  if (found == tensors_.end()) return {};
  const int op = recording_.tensors[static_cast<size_t>(found->second)].op;
  return op < 0 ? std::string() : describe(recording_.ops[static_cast<size_t>(op)].site);
}

void Recorder::interrupt(const std::string& why) noexcept {
  const Lock lock(*this);
  if (!is_written_) write(why);
}

void Recorder::write(const std::string& why) noexcept {
  if (std::exchange(is_written_, true) || ::getpid() != process_) return;
  recording_.ended = why;
  try {
    leave_out_asides(recording_);
    nn::files::in_file(given_path_, [&] {
      nn::files::Output file(path_);
      file.write(path_.ends_with(".json") ? json_of(recording_) : page_of(recording_));
      file.commit();
    });
    if (by_environment_ && !path_.ends_with(".json")) {  // JSON is for a program that knows
      std::fprintf(stderr, "regrad: wrote %s: %zu ops forward, %zu steps backward%s%s\n",
                   given_path_.c_str(), recording_.ops.size(), recording_.backward.size(),
                   why.empty() ? "" : "; ", why.c_str());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regrad: the trace is lost: %s\n", error.what());
  }
  start_over();  // the memory
}

}  // namespace regrad

#include "autograd/trace/profile.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "autograd/graph.h"
#include "autograd/text.h"
#include "autograd/trace/flops.h"
#include "nn/files.h"

namespace regrad {
namespace {

std::string shapes_of(const std::vector<Tensor>& tensors) {
  std::string text;
  for (const Tensor& x : tensors) {
    if (x.defined()) text += (text.empty() ? "" : " ") + x.shape().str();
  }
  return text;
}

int64_t bytes_of(const Tensor& x) {
  return x.defined() ? x.numel() * static_cast<int64_t>(item_size(x.dtype())) : 0;
}

// What the op reads and writes, if it does so once, and what it computes.
std::string details_of(const Observer::Op& op) {
  int64_t bytes = bytes_of(op.output);
  std::vector<Shape> shapes;
  for (const Tensor& input : op.inputs) {
    bytes += bytes_of(input);
    shapes.push_back(input.defined() ? input.shape() : Shape());
  }
  return fmt::format(R"({{"inputs":"{}","output":"{}","bytes":{},"flop":{}}})",
                     shapes_of(op.inputs), op.output.shape().str(), bytes,
                     flops(op.name, shapes, op.output.shape()));
}

double microseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

Profile::Profile(const std::string& path)
    : path_(std::filesystem::absolute(path).string()), process_(::getpid()) {
  nn::files::in_file(path, [&] { nn::files::Output{path_}; });
}

Profile::~Profile() {
  if (::getpid() != process_) return;
  try {
    nn::files::in_file(path_, [&] { write(); });
    std::fprintf(stderr, "regrad: wrote %s: %zu spans\n", path_.c_str(), spans_.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "regrad: the profile is lost: %s\n", error.what());
  }
}

void Profile::allocated(const Storage& storage) { allocations_[&storage] = Clock::now(); }

// An op is shown to observers when it has been computed. It began when the memory of its output was
// allocated; a view allocates none and takes no time.
void Profile::computed(const Op& op) {
  const Clock::time_point now = Clock::now();
  const auto found = allocations_.find(op.output.body().storage.get());
  const bool is_its_own = found != allocations_.end() && found->second >= last_;
  add({op.name, "op", is_its_own ? found->second : now, now, details_of(op)});
  allocations_.clear();
  last_ = Clock::now();
}

void Profile::started(const Tensor&) { open_.push_back(Clock::now()); }

void Profile::took(const Node&, const Tensor&) { open_.push_back(Clock::now()); }

void Profile::finished(const Node& node) {
  if (open_.empty()) return;
  add({fmt::format("backward of {}", node.name), "backward", open_.back(), Clock::now(),
       fmt::format(R"({{"output":"{}"}})", node.shape.str())});
  open_.pop_back();
  last_ = Clock::now();
}

// A pass that an Error has left has closed nothing: its times are dropped with it.
void Profile::ended() {
  if (open_.empty()) return;
  add({"backward", "pass", open_.front(), Clock::now(), "{}"});
  open_.clear();
}

void Profile::add(Span span) {
  if (spans_.size() == max_spans) {
    ++left_out_;
  } else {
    spans_.push_back(std::move(span));
  }
}

void Profile::write() const {
  nn::files::Output file(path_);
  file.write(
      fmt::format("{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"left_out\":{}}},"
                  "\"traceEvents\":[",
                  left_out_));
  const char* separator = "\n";
  for (const Span& span : spans_) {
    file.write(fmt::format(
        R"({}{{"name":"{}","cat":"{}","ph":"X","ts":{:.3f},"dur":{:.3f},"pid":{},"tid":1,"args":{}}})",
        std::exchange(separator, ",\n"), printable(span.name), span.category,
        microseconds(span.begin - start_), microseconds(span.end - span.begin), process_,
        span.details));
  }
  file.write("\n]}\n");
  file.commit();
}

}  // namespace regrad

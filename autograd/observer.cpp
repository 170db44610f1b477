#include "autograd/observer.h"

#include "autograd/check.h"

namespace regrad {
namespace {

template <class Ask>
std::string first_answer(const Ask& ask) {
  std::string found;
  Observer::notify([&](Observer& one) {
    if (found.empty()) found = ask(one);
  });
  return found.empty() ? found : ", " + found;
}

}  // namespace

// Observers need not end in the reverse order of their beginning.
void Observer::leave() {
  Observer** place = &current_;
  while (*place != nullptr && *place != this) place = &(*place)->outer_;
  if (*place == this) *place = outer_;
}

std::string Observer::where_made(const Node& node) {
  return first_answer([&](Observer& one) { return one.made_at(node); });
}

std::string Observer::where_written(const Storage& storage) {
  return first_answer([&](Observer& one) { return one.written_at(storage); });
}

void throw_error(const std::string& text) {
  Observer::notify([&](Observer& one) { one.failed(text); });
  throw Error(text);
}

}  // namespace regrad

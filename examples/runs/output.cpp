#include "examples/runs/output.h"

#include <unistd.h>

#include <cerrno>

#include "autograd/error.h"
#include "nn/files.h"

namespace regrad::example {
namespace {

constexpr const char* failure = "standard output: cannot be written";

}  // namespace

StandardOutput::StandardOutput() : before_(std::cout.rdbuf(this)) {
  setp(waiting_.data(), waiting_.data() + waiting_.size());
  if (::isatty(STDOUT_FILENO) == 1) std::cout.setf(std::ios::unitbuf);
  std::cout.exceptions(std::ios::badbit);  // passes on what overflow() and sync() throw
}

StandardOutput::~StandardOutput() {
  std::cout.exceptions(std::ios::goodbit);
  std::cout.rdbuf(before_);
}

void StandardOutput::finish() {
  sync();
  nn::files::check_done(::close(STDOUT_FILENO) == 0, failure);
}

int StandardOutput::overflow(int c) {
  sync();
  if (c != traits_type::eof()) {
    *pptr() = static_cast<char>(c);
    pbump(1);
  }
  return traits_type::not_eof(c);
}

// What could not be written is not tried again.
int StandardOutput::sync() {
  const char* next = pbase();
  const char* const end = pptr();
  setp(waiting_.data(), waiting_.data() + waiting_.size());
  while (next < end) {
    const ssize_t put = ::write(STDOUT_FILENO, next, static_cast<size_t>(end - next));
    if (put < 0 && errno == EINTR) continue;
    nn::files::check_done(put >= 0, failure);
    next += put;
  }
  return 0;
}

}  // namespace regrad::example

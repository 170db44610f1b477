// The one exception type of regrad. Its text names the op, what was given, and what must hold.
#pragma once

#include <stdexcept>

namespace regrad {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace regrad

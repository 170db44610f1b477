#include "autograd/observer.h"

namespace regrad {

// Observers need not end in the reverse order of their beginning.
Observer::~Observer() {
  Observer** place = &current_;
  while (*place != nullptr && *place != this) place = &(*place)->outer_;
  if (*place == this) *place = outer_;
}

}  // namespace regrad

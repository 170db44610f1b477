// Call stacks: captured as program counters, which takes microseconds, and turned into functions,
// files and lines at the end, once for each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/trace_library.h"

namespace regrad {

struct Frame {
  std::string function;  // without its parameters; "main+91" where there is no debug information
  std::string file;      // as the compiler was given it, made absolute; empty: not known
  int line = 0;
  bool in_library = false;  // regrad's own, of which only modules and optimisers are kept
  uintptr_t counter = 0;    // two calls in one line are two places
  friend bool operator==(const Frame&, const Frame&) = default;
};

// The stack of the caller. Equal stacks get the same number.
CallSite call_site();

// Outermost first, from main() or the thread's function to where regrad was called. Functions that
// were inlined have frames of their own. Frames of regrad are left out, except those of modules
// and optimisers (regrad::nn, regrad::optim).
std::vector<Frame> frames_of(CallSite site);

// The innermost frame of the program's own code, as an index into the stack; -1: none.
int user_frame(const std::vector<Frame>& stack);

std::string describe(CallSite site);  // "at toy.cpp:14 in f", "in f"; empty: not known

// How the file is called on a page: from the working directory where it lies below it, otherwise
// without its folder.
std::string shown_file(const std::string& file);

}  // namespace regrad

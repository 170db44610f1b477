// From a program counter to the functions, files and lines that it belongs to (libbacktrace, which
// comes with GCC, reads DWARF; without it, only the names that the dynamic linker knows).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace regrad {

struct SourceLine {
  std::string symbol;  // mangled; empty: not known
  std::string file;    // empty: not known
  int line = 0;
  uintptr_t offset = 0;  // of the counter in its function, where there is no line
};

// Innermost first: an inlined function stands before the one that it is inlined into. At least one.
std::vector<SourceLine> source_lines(uintptr_t counter);

}  // namespace regrad

// Standard output, so that nothing printed is lost without a word: what cannot be written is an
// Error, where it is printed or in finish(). Every command ends in finish(), in main.cpp.
#pragma once

#include <array>
#include <iostream>
#include <streambuf>

namespace regrad::example {

// While this object lives, std::cout writes through it.
class StandardOutput : private std::streambuf {
 public:
  StandardOutput();
  ~StandardOutput() override;
  StandardOutput(const StandardOutput&) = delete;
  StandardOutput& operator=(const StandardOutput&) = delete;

  // Brings out what waits, and closes standard output.
  void finish();

 private:
  int overflow(int c) override;
  int sync() override;

  std::array<char, 1 << 16> waiting_;
  std::streambuf* before_;
};

}  // namespace regrad::example

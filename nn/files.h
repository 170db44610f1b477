// Files and the numbers in them, for the readers and writers of checkpoints. Errors here say what
// is wrong; the callers add the path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "autograd/tensor.h"

namespace regrad::nn::files {

// A regular file, open for reading. Pipes, devices and directories are an Error.
class Input {
 public:
  explicit Input(const std::string& path);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  int64_t size() const { return size_; }
  // All `count` bytes from position `at`; an Error if the file ends before.
  void read(int64_t at, void* to, int64_t count) const;
  std::string text(int64_t at, int64_t count) const;

 private:
  int file_;
  int64_t size_ = 0;
};

// A new file beside `path` that takes its place in commit(), on the disk and under its name. Until
// then, and if anything fails, what was at `path` stays as it was.
class Output {
 public:
  explicit Output(const std::string& path);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(const void* from, int64_t count);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void write(const Tensor& x);  // its elements, row-major
  void commit();

 private:
  std::string path_, temporary_;
  int file_ = -1;
};

// How one number is stored.
struct Element {
  enum class Kind { boolean, integer, natural, real, brain } kind;  // brain: bfloat16
  int64_t size;
  bool big_endian = false;
};

DType dtype_of(const Element& element);  // what it is read as
// shape.numel() numbers from position `at` of the file.
Tensor read_tensor(const Input& file, int64_t at, const Shape& shape, const Element& element);

// Bytes of unknown origin made fit for a message: no control characters, and not too long.
std::string printable(std::string_view text);

}  // namespace regrad::nn::files

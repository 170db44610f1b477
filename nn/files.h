// Files and the numbers in them, for every reader and writer of the project. Errors here say what
// is wrong; the callers add the path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "autograd/error.h"
#include "autograd/tensor.h"
#include "autograd/text.h"

namespace regrad::nn::files {

// Where `done` is false: an Error that says so and gives the reason of errno, which is read in
// here, after the call: as an argument beside the call it could be read before.
void check_done(bool done, std::string_view failure);

// What f() gives. An Error of it gets "NAME: " before it.
template <class F>
decltype(auto) in_file(const std::string& name, F f) {
  try {
    return f();
  } catch (const Error& error) {
    throw Error(printable(name) + ": " + error.what());
  }
}

// CRC-32C (Castagnoli, 1993); before: of the bytes before these.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

// The elements of x, which must be contiguous and in the host's memory.
std::string_view bytes_of(const Tensor& x);

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
  // crc32c of the bytes from `begin` to `end`.
  uint32_t sum(int64_t begin, int64_t end, uint32_t before = 0) const;

 private:
  int file_;
  int64_t size_ = 0;
};

// All of a file. An Error where it has more than `most` bytes.
std::string read_text(const std::string& path, int64_t most);

// A new file beside `path` that takes its place in commit(), on the disk and under its name, with
// the mode and the owner of what was there. Until then, and if anything fails, what was at `path`
// stays as it was. Symbolic links stay and are followed; what is no regular file, or may not be
// written, is an Error.
class Output {
 public:
  explicit Output(const std::string& path, bool sums = false);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(const void* from, int64_t count);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void write(const Tensor& x);                        // its elements, row-major
  void overwrite(int64_t at, std::string_view text);  // in place of what was written there
  uint32_t sum() const { return sum_; }  // crc32c of all that write() was given, if it `sums`
  void commit();

 private:
  std::string path_, temporary_;
  int file_ = -1;
  bool sums_;
  uint32_t sum_ = 0;
};

void write_text(const std::string& path, std::string_view text);  // as Output does

// A new file that grows by whole pieces. An Error where there is something at `path` already.
class Log {
 public:
  explicit Log(const std::string& path);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  void append(std::string_view piece);

 private:
  int file_;
};

// Held by one at a time, of all processes and within one: a lock on the file at `path`, which is
// made where there is none, and stays. The system frees it when its process ends, however it ends.
class Lock {
 public:
  explicit Lock(std::string path) : path_(std::move(path)) {}
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool take();  // false where another holds it; a lock that is held already is given up first

 private:
  std::string path_;
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

}  // namespace regrad::nn::files

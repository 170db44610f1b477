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

// An Error with the failure and errno's reason unless `done`. errno is read in here, after the call
// that sets it; an argument beside that call could be read before it.
void check_done(bool done, std::string_view failure);

// f(); an Error that it throws gets "NAME: " in front.
template <class F>
decltype(auto) in_file(const std::string& name, F f) {
  try {
    return f();
  } catch (const Error& error) {
    throw Error(printable(name) + ": " + error.what());
  }
}

// CRC-32C (Castagnoli, 1993) of the bytes; before: the sum of the bytes before these, to go on
// from.
uint32_t crc32c(std::string_view bytes, uint32_t before = 0);

// The elements of x, which must be contiguous and in the host's memory.
std::string_view bytes_of(const Tensor& x);

// A regular file, open for reading. Pipes, devices and directories are an Error.
class Input {
 public:
  explicit Input(const std::string& path);  // an Error where it cannot be opened
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  int64_t size() const { return size_; }  // bytes
  // All `count` bytes from `offset` on; an Error where the file ends before.
  void read(int64_t offset, void* to, int64_t count) const;
  std::string text(int64_t offset, int64_t count) const;  // the same as text
  // crc32c of the bytes from begin to end.
  uint32_t sum(int64_t begin, int64_t end, uint32_t before = 0) const;

 private:
  int file_;
  int64_t size_ = 0;
};

// All of a file. An Error where it has more than max_bytes.
std::string read_text(const std::string& path, int64_t max_bytes);

// A new file beside `path`, which replaces the one at `path` in commit() and takes its mode and
// owner. Until then, and if anything fails, what was at `path` stays as it was. Symbolic links are
// followed and stay. An Error where `path` is not a regular file or may not be written.
class Output {
 public:
  explicit Output(const std::string& path, bool sums = false);  // sums: keep a checksum
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Appends bytes; an Error where they are not written whole.
  void write(const void* from, int64_t count);
  void write(std::string_view text) { write(text.data(), static_cast<int64_t>(text.size())); }
  void write(const Tensor& x);                            // its elements, row-major
  void overwrite(int64_t offset, std::string_view text);  // in place of what was written there
  uint32_t sum() const { return sum_; }  // crc32c of what write() wrote; 0 unless it sums
  void commit();  // when this returns, the bytes are on the disk under their name

 private:
  std::string path_, temporary_;
  int file_ = -1;
  bool sums_;
  uint32_t sum_ = 0;
};

void write_text(const std::string& path, std::string_view text);  // as Output does

// A new file that grows by whole pieces.
class Log {
 public:
  explicit Log(const std::string& path);  // an Error where there is something at `path` already
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  void append(std::string_view piece);  // an Error where it is not written whole

 private:
  int file_;
};

// A lock on the file at `path`, which one holder has at a time, among all processes and within one.
// The file is created where there is none, and stays. When a process ends, the system frees its
// locks.
class Lock {
 public:
  // Not taken yet.
  explicit Lock(std::string path) : path_(std::move(path)) {}
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool take();  // false where another holds it; a lock that this one holds is released first

 private:
  std::string path_;
  int file_ = -1;
};

// How one number is stored.
struct Element {
  enum class Kind { boolean, integer, unsigned_integer, real, bfloat16 } kind;
  int64_t size;  // bytes
  bool big_endian = false;
};

DType dtype_of(const Element& element);  // what it is read as
// shape.numel() numbers from `offset` of the file on, on the cpu.
Tensor read_tensor(const Input& file, int64_t offset, const Shape& shape, const Element& element);

}  // namespace regrad::nn::files

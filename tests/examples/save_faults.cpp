// Every system call of a save fails in turn (no room, input/output error, a write that stops in the
// middle): afterwards the newest whole checkpoint is the one before or the new one, bit for bit.
// This program's own open, write, fsync, rename and close stand before the C library's.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "autograd/error.h"
#include "examples/attention/run_directory.h"
#include "ops/ops.h"

namespace {

int calls_left = -1;  // before the one that fails; -1: none does
int fault = 0;        // errno
bool stops_in_the_middle = false;

bool strikes() {
  if (calls_left < 0 || calls_left-- > 0) return false;
  errno = fault;
  return true;
}

}  // namespace

extern "C" {
int open(const char* path, int flags, ...) {  // the headers may name it open64
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, unsigned)) : 0;
  va_end(rest);
  if (strikes()) return -1;
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
ssize_t write(int file, const void* from, size_t count) {
  if (strikes()) {
    if (!stops_in_the_middle) return -1;
    calls_left = 0;  // half is written, and the next write finds no room
    count = (count + 1) / 2;
  }
  return syscall(SYS_write, file, from, count);
}
int fsync(int file) { return strikes() ? -1 : static_cast<int>(syscall(SYS_fsync, file)); }
int rename(const char* from, const char* to) noexcept {
  return strikes() ? -1 : static_cast<int>(syscall(SYS_rename, from, to));
}
int close(int file) {
  const bool fails = strikes();
  const auto result = static_cast<int>(syscall(SYS_close, file));
  if (fails) errno = fault;
  return fails ? -1 : result;
}
}

namespace {

using namespace regrad;

void demand(bool holds, const char* what, int point) {
  if (holds) return;
  std::fprintf(stderr, "save_faults: call %d failing (errno %d): %s\n", point, fault, what);
  std::exit(1);
}

bool is(const example::RunDirectory::Found& found, int64_t step, double value) {
  if (found.step != step) return false;
  const std::vector<float> numbers = found.file.tensors.at("a").to_vector<float>();
  return numbers == std::vector<float>(1000, static_cast<float>(value));
}

// How many calls a save makes: it is tried until one ends without having been struck.
int fail_each(const std::string& folder, bool is_best) {
  const example::RunDirectory directory(folder);
  for (int point = 0;; ++point) {
    std::filesystem::remove(folder + "/checkpoint-2.safetensors");
    directory.save(1, {{"a", full({1000}, 1)}}, {}, true, 3);
    bool failed = false;
    calls_left = point;
    try {
      directory.save(2, {{"a", full({1000}, 2)}}, {}, is_best, 3);
    } catch (const Error&) {
      failed = true;
    }
    const bool struck = calls_left < 0;
    calls_left = -1;
    bool said = false;
    const auto found = directory.newest([&](const std::string&) { said = true; });
    demand(!said, "a damaged checkpoint was left", point);
    demand(is(found, 2, 2) || (failed && is(found, 1, 1)), "neither the old nor the new", point);
    demand(directory.best().step > 0, "`best` names nothing", point);
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      demand(entry.path().extension() != ".tmp", "a temporary file was left", point);
    }
    if (!struck) return point;
  }
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  int points = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (const bool middle : {false, true}) {
      fault = error;
      stops_in_the_middle = middle;
      points += fail_each(folder, false) + fail_each(folder, true);
    }
  }
  std::filesystem::remove_all(folder);
  std::printf("%d calls failed, the last good checkpoint loaded after each\n", points);
  return points >= 80 ? 0 : 1;  // fewer: the faults no longer reach the calls
}

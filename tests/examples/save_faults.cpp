// Every system call of a save, of each writer and of each command fails in turn (no room,
// input/output error, a write that stops in the middle): afterwards what was there is whole, the
// old or the new, bit for bit, and a command that ends with 0 has written all that it should. This
// program's own open, write, fsync, rename and close stand before the C library's.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "autograd/error.h"
#include "examples/attention/commands.h"
#include "examples/runs/events.h"
#include "examples/runs/output.h"
#include "examples/runs/run_directory.h"
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

// A writer of one file: afterwards it holds the old bytes, or the new ones if nothing was said.
int fail_writer(const std::string& folder,
                const std::function<void(const std::string&, int)>& put) {
  const std::string path = folder + "/file";
  const auto bytes = [&] { return nn::files::read_text(path, 1 << 20); };
  put(path, 2);
  const std::string after = bytes();
  for (int point = 0;; ++point) {
    put(path, 1);
    const std::string before = bytes();
    bool failed = false;
    calls_left = point;
    try {
      put(path, 2);
    } catch (const Error& error) {
      failed = true;
      calls_left = -1;
      demand(std::string(error.what()).find("Success") == std::string::npos, error.what(), point);
    }
    const bool struck = failed || calls_left < 0;
    calls_left = -1;
    demand(bytes() == after || (failed && bytes() == before), "neither the old nor the new", point);
    demand(std::distance(std::filesystem::directory_iterator(folder), {}) == 1, "more files",
           point);
    if (!struck) return point;
  }
}

int fail_writers(const std::string& folder) {
  std::filesystem::create_directory(folder);
  const nn::SafetensorsOptions summed = {.checksum = true};
  const int points =
      fail_writer(folder, [](const auto& path, int i) { nn::save_npy(path, full({9}, i)); }) +
      fail_writer(folder,
                  [=](const auto& path, int i) {
                    nn::save_safetensors(path, {{"a", full({9}, i)}}, {}, summed);
                  }) +
      fail_writer(folder, [](const auto& path, int i) {
        nn::files::write_text(path, std::string(9, static_cast<char>('0' + i)));
      });
  std::filesystem::remove_all(folder);
  return points;
}

// Runs a command in a process of its own, the call at `point` failing, if it is 0 or more; its
// status, and whether a call was struck.
struct Ended {
  int status;
  bool struck;
};
Ended run_apart(const std::string& out, int point, const std::function<int()>& command) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const int file = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int silent = ::open("/dev/null", O_WRONLY);
    dup2(file, STDOUT_FILENO);
    if (point >= 0) dup2(silent, STDERR_FILENO);
    set_num_threads(1);
    int status = 1;
    calls_left = point;
    try {
      example::StandardOutput output;
      status = command();
      output.finish();
    } catch (const std::exception& error) {
      status = 1;
      if (point < 0) std::fprintf(stderr, "save_faults: %s\n", error.what());
    }
    _exit(2 * status + (point >= 0 && calls_left < 0 ? 1 : 0));
  }
  int status = 0;
  waitpid(child, &status, 0);
  demand(child > 0 && WIFEXITED(status), "a command was killed", point);
  return {WEXITSTATUS(status) / 2, WEXITSTATUS(status) % 2 == 1};
}

// The sizes of files alone may change with the time that a run took.
std::string what_lacks(const std::string& folder, const std::string& wanted) {
  namespace fs = std::filesystem;
  const auto read = [](const fs::path& path) {
    return nn::files::read_text(path.string(), 1 << 24);
  };
  for (const char* name : {"weights.safetensors", "last", "best", "attention.svg", "curves.tsv",
                           "picture.svg", "page.html"}) {
    if (!fs::exists(fs::path(wanted) / name)) continue;
    const bool there = fs::exists(fs::path(folder) / name);
    if (!there || read(fs::path(folder) / name) != read(fs::path(wanted) / name)) return name;
  }
  const auto lines = [&](const std::string& at) {
    const std::string text = read(at + "/printed");
    return std::count(text.begin(), text.end(), '\n');
  };
  if (lines(folder) != lines(wanted)) return "standard output";
  if (!fs::exists(fs::path(wanted) / "report.html")) return "";
  const bool has_report = fs::exists(fs::path(folder) / "report.html") &&
                          read(fs::path(folder) / "report.html").ends_with("</html>\n");
  if (!has_report) return "report.html";
  if (!fs::exists(fs::path(folder) / "metrics.csv")) return "metrics.csv";
  const auto newest = example::RunDirectory(folder).newest([](const std::string&) {});
  return newest.step == 1 ? "" : "the checkpoint";
}

// `begin` makes what the command finds.
int fail_command(const std::string& folder, const std::function<void()>& begin,
                 const std::function<int()>& command) {
  namespace fs = std::filesystem;
  const std::string wanted = folder + ".whole", printed = folder + "/printed";
  const auto anew = [&] {
    fs::remove_all(folder);
    fs::create_directory(folder);
    begin();
  };
  anew();
  demand(run_apart(printed, -1, command).status == 0, "a command failed by itself", -1);
  fs::remove_all(wanted);
  fs::rename(folder, wanted);
  for (int point = 0;; ++point) {
    stops_in_the_middle = point % 2 == 1;
    anew();
    const Ended ended = run_apart(printed, point, command);
    const std::string lost = ended.status == 0 ? what_lacks(folder, wanted) : "";
    demand(lost.empty(), ("a command ended with 0 and lost " + lost).c_str(), point);
    for (const auto& entry : fs::directory_iterator(folder)) {
      demand(entry.path().extension() != ".tmp", "a temporary file was left", point);
    }
    if (!ended.struck) return point;
  }
}

int fail_commands(const std::string& folder) {
  fault = ENOSPC;
  example::TrainOptions train;
  train.out = folder + "/run";
  train.embedding = train.hidden = 4;
  train.steps = 1;
  train.pairs = 30;
  train.batch = 8;
  const std::string out = train.out, kept = folder + "/kept";
  int points = fail_command(
      out, [] {}, [&] { return example::run_train(train); });
  std::filesystem::rename(out, kept);
  example::TrainOptions resume = train;
  resume.resume = out;
  const auto whole_run = [&] {
    std::filesystem::copy(kept, out, std::filesystem::copy_options::recursive);
  };
  points += fail_command(out, whole_run, [&] { return example::run_train(resume); });
  example::ShowOptions show;
  show.weights = kept;
  show.text = "may 5, 1999";
  show.svg = out + "/picture.svg";
  show.html = out + "/page.html";
  points += fail_command(
      out, [] {}, [&] { return example::run_show(show); });
  example::TranslateOptions translate;
  translate.weights = kept;
  translate.texts = {"may 5, 1999", "1/2/03"};
  points += fail_command(
      out, [] {}, [&] { return example::run_translate(translate); });
  example::EvaluateOptions evaluate;
  evaluate.weights = kept;
  evaluate.pairs = 3;
  points += fail_command(
      out, [] {}, [&] { return example::run_evaluate(evaluate); });
  return points;
}

}  // namespace

int main() {
  std::string folder = (std::filesystem::temp_directory_path() / "regrad-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  const int of_commands = fail_commands(folder);  // before this process has threads
  int of_saves = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (const bool middle : {false, true}) {
      fault = error;
      stops_in_the_middle = middle;
      const std::string saves = folder + "/saves";
      std::filesystem::create_directory(saves);
      of_saves += fail_each(saves, false) + fail_each(saves, true) + fail_writers(folder + "/one");
      std::filesystem::remove_all(saves);
    }
  }
  std::filesystem::remove_all(folder);
  std::printf("%d calls of saves and %d of commands failed, and nothing was lost\n", of_saves,
              of_commands);
  return of_saves >= 160 && of_commands >= 100 ? 0 : 1;  // fewer: the faults do not reach the calls
}

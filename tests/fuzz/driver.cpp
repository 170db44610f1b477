// Runs a fuzz target on mutations of its seeds. Input number i depends on i and the seeds alone, so
// a failure is repeated by its number.
//   NAME_fuzz [RUNS [FIRST]]   inputs FIRST to FIRST + RUNS - 1; 2000 and 0 unless given
//   NAME_fuzz --seeds FOLDER   writes the seeds there, as a corpus for libFuzzer
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "tests/fuzz/target.h"

// A sanitizer's finding ends in abort(), which the handler below sees. Without sanitizers nobody
// calls these.
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() {
  return "abort_on_error=1:halt_on_error=1:print_stacktrace=1";
}

namespace regrad::fuzz {
namespace {

constexpr std::size_t longest_input = 4096;
// Seconds for one input, longer is a hang: of the processor's time, and, should it sleep, by the
// clock, which goes on while other programs have the processor.
constexpr unsigned longest_run = 10, longest_sleep = 300;
constexpr std::array<std::string_view, 16> telling_texts = {"0",
                                                            "-1",
                                                            "4294967296",
                                                            "18446744073709551615",
                                                            "9223372036854775807",
                                                            "1e999",
                                                            "\n",
                                                            "\r\n",
                                                            "\t",
                                                            "\\",
                                                            "\xEF\xBB\xBF",
                                                            "\xFF\xFE",
                                                            "\xC3",
                                                            "\"",
                                                            "[[[[[[[[",
                                                            "{}"};
constexpr std::array<unsigned char, 10> telling_bytes = {0,   1,   7,    0x7F, 0x80,
                                                         '"', '{', 0xC0, 0xFE, 0xFF};

// The random choices of one input: splitmix64 (Steele, Lea, Flood 2014), begun anew for each.
class Choice {
 public:
  explicit Choice(uint64_t input) : state_(input << 16) {}
  std::size_t below(std::size_t count) {
    uint64_t bits = state_ += 0x9e3779b97f4a7c15u;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return count == 0 ? 0 : (bits ^ (bits >> 31)) % count;
  }
  template <class Items>
  auto one_of(const Items& items) {
    return items[below(items.size())];
  }

 private:
  uint64_t state_;
};

void mutate(std::string& text, const std::vector<std::string>& others, Choice& choice) {
  const std::size_t at = choice.below(text.size() + 1);
  const std::size_t length = std::min(choice.below(1 + choice.below(64)), text.size() - at);
  switch (choice.below(9)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << choice.below(8)));
      break;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(choice.one_of(telling_bytes));
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, text.substr(at, length));
      break;
    case 4:
      text.insert(at, choice.one_of(telling_texts));
      break;
    case 5:
      text.replace(at, length, choice.one_of(telling_texts));
      break;
    case 6:
      text.insert(at, length, static_cast<char>(choice.below(256)));
      break;
    case 7: {
      const std::string other = choice.one_of(others);
      text.replace(at, length, other, choice.below(other.size() + 1), choice.below(128));
      break;
    }
    default:
      if (choice.below(8) == 0) text.resize(at);
  }
  if (text.size() > longest_input) text.resize(longest_input);
}

std::string input(uint64_t number, const std::vector<std::string>& from) {
  if (number < from.size()) return from[number];
  Choice choice(number);
  std::string text = choice.one_of(from);
  for (std::size_t left = 1 + choice.below(6); left > 0; --left) mutate(text, from, choice);
  return text;
}

uint64_t current = 0;

extern "C" void say_which(int signal) {
  std::array<char, 128> text;
  const bool hangs = signal == SIGALRM || signal == SIGPROF;
  const int length = std::snprintf(
      text.data(), text.size(), "\nfuzz: input %llu %s; repeat it with arguments 1 %llu\n",
      static_cast<unsigned long long>(current), hangs ? "hangs" : "fails",
      static_cast<unsigned long long>(current));
  if (write(STDERR_FILENO, text.data(), static_cast<std::size_t>(length)) < 0) _exit(2);
  _exit(1);
}

// For what runs next; 0 and 0 end the limits.
void limit_time(unsigned busy, unsigned asleep) {
  const itimerval processor{{0, 0}, {static_cast<time_t>(busy), 0}};
  setitimer(ITIMER_PROF, &processor, nullptr);
  alarm(asleep);
}

int write_seeds(const std::string& folder) {
  std::size_t number = 0;
  for (const std::string& seed : seeds()) {
    std::ofstream file(folder + "/seed-" + std::to_string(number++), std::ios::binary);
    if (!(file << seed << std::flush)) return std::perror(folder.c_str()), 1;
  }
  return 0;
}

int run(uint64_t runs, uint64_t first) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM, SIGPROF}) {
    ::signal(signal, say_which);
  }
  const std::vector<std::string> from = seeds();
  for (current = first; current < first + runs; ++current) {
    const std::string text = input(current, from);
    // Exactly as many bytes as there are: a read past them is seen.
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    limit_time(longest_run, longest_sleep);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  limit_time(0, 0);
  std::printf("%llu inputs, no finding\n", static_cast<unsigned long long>(runs));
  return 0;
}

}  // namespace
}  // namespace regrad::fuzz

int main(int count, char** arguments) {
  const auto number = [&](int i, uint64_t otherwise) {
    return count > i ? std::strtoull(arguments[i], nullptr, 10) : otherwise;
  };
  if (count == 3 && std::strcmp(arguments[1], "--seeds") == 0) {
    return regrad::fuzz::write_seeds(arguments[2]);
  }
  return regrad::fuzz::run(number(1, 2000), number(2, 0));
}

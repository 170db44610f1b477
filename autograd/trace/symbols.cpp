#include "autograd/trace/symbols.h"

#include <dlfcn.h>

#include <cstdlib>

// libbacktrace. Its header is in a folder that only GCC looks into; these are its declarations, and
// what they mean is in GCC's libbacktrace/backtrace.h. Weak: null where it was not linked.
extern "C" {
struct backtrace_state;
using backtrace_error_callback = void (*)(void* data, const char* message, int error);
using backtrace_full_callback = int (*)(void* data, uintptr_t counter, const char* file, int line,
                                        const char* function);
using backtrace_syminfo_callback = void (*)(void* data, uintptr_t counter, const char* symbol,
                                            uintptr_t value, uintptr_t size);
[[gnu::weak]] backtrace_state* backtrace_create_state(const char* file, int threaded,
                                                      backtrace_error_callback, void* data);
[[gnu::weak]] int backtrace_pcinfo(backtrace_state*, uintptr_t counter, backtrace_full_callback,
                                   backtrace_error_callback, void* data);
[[gnu::weak]] int backtrace_syminfo(backtrace_state*, uintptr_t counter, backtrace_syminfo_callback,
                                    backtrace_error_callback, void* data);
}

namespace regrad {
namespace {

SourceLine from_dynamic_linker(uintptr_t counter) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(counter), &info) == 0 || info.dli_sname == nullptr) {
    return {};
  }
  return {info.dli_sname, "", 0, counter - reinterpret_cast<uintptr_t>(info.dli_saddr)};
}

void ignore(void*, const char*, int) {}

int add_line(void* to, uintptr_t, const char* file, int line, const char* function) {
  if (file == nullptr && function == nullptr) return 0;
  auto& lines = *static_cast<std::vector<SourceLine>*>(to);
  lines.push_back({function == nullptr ? "" : function, file == nullptr ? "" : file, line, 0});
  return 0;
}

void set_symbol(void* to, uintptr_t counter, const char* symbol, uintptr_t value, uintptr_t) {
  if (symbol == nullptr) return;
  auto& line = *static_cast<SourceLine*>(to);
  line.symbol = symbol;
  line.offset = counter - value;
}

std::vector<SourceLine> from_debug_information(uintptr_t counter) {
  static backtrace_state* const state = backtrace_create_state(nullptr, 1, ignore, nullptr);
  std::vector<SourceLine> lines;
  backtrace_pcinfo(state, counter, add_line, ignore, &lines);
  // The outermost function has the symbol's full name; DWARF may give only "operator()".
  SourceLine whole;
  backtrace_syminfo(state, counter, set_symbol, ignore, &whole);
  if (lines.empty()) return {whole};
  if (!whole.symbol.empty()) lines.back().symbol = whole.symbol;
  return lines;
}

}  // namespace

std::vector<SourceLine> source_lines(uintptr_t counter) {
  if (backtrace_create_state != nullptr) {
    std::vector<SourceLine> lines = from_debug_information(counter);
    if (lines.size() > 1 || !lines[0].symbol.empty()) return lines;
  }
  return {from_dynamic_linker(counter)};
}

}  // namespace regrad

#include "autograd/trace/call_stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unwind.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include "autograd/trace/symbols.h"

namespace regrad {
namespace {

constexpr size_t max_depth = 256;
using Counters = std::vector<uintptr_t>;

// Every stack that was captured. Never destroyed: used until the program's very end.
struct Stacks {
  std::mutex mutex;
  std::map<Counters, CallSite> sites;
  std::vector<const Counters*> by_site;
  std::unordered_map<uintptr_t, std::vector<Frame>> frames;  // of a counter, innermost first
};
Stacks& stacks() {
  static Stacks& all = *new Stacks;
  return all;
}

_Unwind_Reason_Code collect(_Unwind_Context* context, void* to) {
  Counters& counters = *static_cast<Counters*>(to);
  int before_instruction = 0;
  uintptr_t counter = _Unwind_GetIPInfo(context, &before_instruction);
  if (counter == 0 || counters.size() == max_depth) return _URC_END_OF_STACK;
  // A return address is that of the instruction after the call: one byte less lies in the call.
  if (before_instruction == 0) --counter;
  counters.push_back(counter);
  return _URC_NO_REASON;
}

// "regrad::nn::Linear::operator()(regrad::Tensor const&) const [clone .part.0]" without what
// follows the name.
std::string without_parameters(std::string_view text) {
  constexpr std::string_view call_operator = "operator()";
  int depth = 0;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text.substr(i).starts_with(call_operator)) i += call_operator.size();
    if (i >= text.size() || (text[i] == '(' && depth == 0 && !text.substr(i).starts_with("(anon")))
      break;
    if (text.substr(i).starts_with(" [clone")) break;
    depth += text[i] == '<' ? 1 : text[i] == '>' && text[i - (i > 0)] != '-' ? -1 : 0;
  }
  return std::string(text.substr(0, i));
}

// "main::{lambda(int)#1}::operator()" as "main::lambda".
std::string with_short_lambdas(std::string text) {
  constexpr std::string_view begin = "{lambda(", call = "::operator()";
  for (size_t at; (at = text.find(begin)) != std::string::npos;) {
    const size_t end = text.find('}', at);
    if (end == std::string::npos) return text;
    const bool is_called = std::string_view(text).substr(end + 1).starts_with(call);
    text.replace(at, end + 1 - at + (is_called ? call.size() : 0), "lambda");
  }
  return text;
}

std::string erase_all(std::string text, std::string_view part) {
  for (size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
  return text;
}

std::string readable(const std::string& symbol) {
  int status = -1;
  char* const demangled = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
  std::string name =
      without_parameters(with_short_lambdas(status == 0 ? demangled : symbol.c_str()));
  std::free(demangled);
  name = erase_all(std::move(name), "(anonymous namespace)::");
  const size_t space = name.find(' ');  // the result's type of a template
  if (space != std::string::npos && name.find('<') > space && name.find("operator") > space) {
    name.erase(0, space + 1);
  }
  return name;
}

bool is_in_regrad(const std::string& function, uintptr_t counter) {
  if (function.starts_with("regrad::")) return true;
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(counter), &info) == 0) return false;
  const std::string_view path = info.dli_fname;
  return path.substr(path.rfind('/') + 1).starts_with("libregrad");
}

bool is_shown_of_regrad(const std::string& function) {
  return (function.starts_with("regrad::nn::") || function.starts_with("regrad::optim::")) &&
         function.find("files::") == std::string::npos;
}

bool is_of_the_language(const std::string& function, const std::string& file) {
  return function.starts_with("std::") || function.starts_with("__gnu_cxx::") ||
         function.starts_with("__cxa") || file.find("/include/c++/") != std::string::npos;
}

// The compiler's path from its own working directory, which is not known: often a folder around the
// program. Absolute if there is such a file.
std::string found_file(const std::string& file) {
  if (file.empty() || file.starts_with('/')) return file;
  std::error_code failure;
  std::filesystem::path folder = std::filesystem::current_path(failure);
  for (const bool from_program : {false, true}) {
    if (from_program) folder = std::filesystem::read_symlink("/proc/self/exe", failure);
    for (int levels = 0; levels < 6 && !folder.empty(); ++levels, folder = folder.parent_path()) {
      const std::filesystem::path path = (folder / file).lexically_normal();
      if (std::filesystem::is_regular_file(path, failure)) return path.string();
    }
  }
  return file;
}

// "Encoder::" of the struct or class around a line of a file. For a call operator in an anonymous
// namespace that was inlined, debug information has the name "operator()" and no more.
std::string class_around(const std::string& file, int line) {
  std::ifstream source(file);
  std::string text;
  std::vector<std::pair<size_t, std::string>> open;  // indentation and name of what is around
  for (int number = 1; number <= line && std::getline(source, text); ++number) {
    const size_t indentation = text.find_first_not_of(" \t");
    if (indentation == std::string::npos) continue;
    while (!open.empty() && open.back().first >= indentation) open.pop_back();
    std::istringstream words(text);
    std::string kind, name;
    words >> kind >> name;
    if (kind == "struct" || kind == "class") open.emplace_back(indentation, name);
  }
  return open.empty() ? "" : open.back().second.substr(0, open.back().second.find(':')) + "::";
}

// The frames of a counter that a reader wants; innermost first, as the symboliser gives them.
std::vector<Frame> shown_frames(uintptr_t counter) {
  std::vector<Frame> shown;
  for (SourceLine& found : source_lines(counter)) {
    Frame frame{readable(found.symbol), found_file(found.file), found.line, false, counter};
    if (frame.function == "operator()")
      frame.function.insert(0, class_around(frame.file, frame.line));
    if (is_of_the_language(frame.function, frame.file)) continue;
    frame.in_library = is_in_regrad(frame.function, counter);
    if (frame.in_library) {
      if (!is_shown_of_regrad(frame.function)) continue;
      frame.function.erase(0, std::string_view("regrad::").size());
    } else if (frame.line == 0 && found.offset > 0) {
      frame.function += "+" + std::to_string(found.offset);
    }
    shown.push_back(std::move(frame));
  }
  return shown;
}

bool is_before_main(const Frame& frame) {
  return !frame.in_library &&
         (frame.function.empty() || frame.function.starts_with("__libc_") ||
          frame.function.starts_with("_start") || frame.function.starts_with("clone") ||
          frame.function.starts_with("start_thread"));
}

}  // namespace

CallSite call_site() {
  Counters counters;
  counters.reserve(32);
  _Unwind_Backtrace(collect, &counters);
  Stacks& all = stacks();
  const std::lock_guard lock(all.mutex);
  const auto [place, is_new] =
      all.sites.emplace(std::move(counters), static_cast<CallSite>(all.by_site.size()));
  if (is_new) all.by_site.push_back(&place->first);
  return place->second;
}

std::vector<Frame> frames_of(CallSite site) {
  std::vector<Frame> stack;
  Stacks& all = stacks();
  const std::lock_guard lock(all.mutex);
  if (site < 0 || static_cast<size_t>(site) >= all.by_site.size()) return stack;
  for (const uintptr_t counter : *all.by_site[static_cast<size_t>(site)]) {
    const auto [place, is_new] = all.frames.try_emplace(counter);
    if (is_new) place->second = shown_frames(counter);
    stack.insert(stack.end(), place->second.begin(), place->second.end());
  }
  const auto is_main = [](const Frame& frame) {
    return frame.function == "main" || frame.function.starts_with("main+");
  };
  stack.erase(std::find_if(stack.rbegin(), stack.rend(), is_main).base() == stack.begin()
                  ? stack.end()
                  : std::find_if(stack.rbegin(), stack.rend(), is_main).base(),
              stack.end());
  while (!stack.empty() && is_before_main(stack.back())) stack.pop_back();
  std::reverse(stack.begin(), stack.end());
  return stack;
}

int user_frame(const std::vector<Frame>& stack) {
  for (size_t i = stack.size(); i-- > 0;) {
    if (!stack[i].in_library) return static_cast<int>(i);
  }
  return -1;
}

std::string describe(CallSite site) {
  const std::vector<Frame> stack = frames_of(site);
  const int user = user_frame(stack);
  if (user < 0) return {};
  const Frame& frame = stack[static_cast<size_t>(user)];
  std::string path;  // the modules that it went through from there
  for (size_t i = static_cast<size_t>(user) + 1; i < stack.size(); ++i) {
    path += " > " + stack[i].function;
  }
  if (frame.line == 0) return "in " + frame.function.substr(0, frame.function.rfind('+')) + path;
  return "at " + shown_file(frame.file) + ":" + std::to_string(frame.line) + " in " +
         frame.function + path;
}

std::string shown_file(const std::string& file) {
  if (file.empty()) return file;
  std::error_code failure;
  const std::filesystem::path path = std::filesystem::path(file).lexically_normal();
  const std::filesystem::path here = std::filesystem::current_path(failure);
  const std::filesystem::path relative = path.lexically_relative(here);
  const bool is_below = !failure && !relative.empty() && *relative.begin() != "..";
  return (is_below ? relative : path.filename()).string();
}

}  // namespace regrad

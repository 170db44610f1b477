#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <set>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/attention/translator.h"
#include "examples/report/page.h"
#include "examples/report/report.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"
#include "examples/text/pairs.h"

namespace regrad::example {
namespace {

std::string trimmed(const std::string& line) {
  const char* blank = " \t\r\n";
  const size_t first = line.find_first_not_of(blank);
  if (first == std::string::npos) return "";
  return line.substr(first, line.find_last_not_of(blank) - first + 1);
}

// The best one alone; or each of several after its score, and an empty line after them.
void print(const std::vector<Translation>& found, const Decoding& decoding) {
  const bool many = decoding.options.n_best > 1;
  for (const Translation& one : found) {
    if (many) std::cout << fmt::format("{:.4f}\t", one.score);
    std::cout << exact_or_printable(one.text) << "\n";
  }
  if (many) std::cout << "\n";
}

// Warns of each unknown token once: the model was never trained on it, so its translation means
// little.
class UnknownTokens {
 public:
  explicit UnknownTokens(const Vocabulary& source) : source_(source) {}

  void warn(const std::string& text) {
    const std::vector<int64_t> ids = source_.encode(text);
    if (std::find(ids.begin(), ids.end(), Vocabulary::unk) == ids.end()) return;
    const std::vector<std::string> tokens = source_.tokenise(text);
    std::vector<std::string> unknown;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] != Vocabulary::unk || !seen_.insert(tokens[i]).second) continue;
      unknown.push_back('"' + shortened(tokens[i]) + '"');
    }
    if (unknown.empty()) return;
    const size_t more = unknown.size() - std::min(unknown.size(), max_named);
    unknown.resize(unknown.size() - more);
    say(fmt::format("\"{}\": the model was not trained on {}{}", shortened(text),
                    fmt::join(unknown, ", "), more > 0 ? fmt::format(" and {} more", more) : ""));
  }

 private:
  static constexpr size_t max_named = 10;
  const Vocabulary& source_;
  std::set<std::string> seen_;
};

// Lines in, as many lines out: an empty line stays one. Batches keep a pipe fast; a person typing
// gets an answer to each line.
class LineTranslator {
 public:
  LineTranslator(Translator& translator, const Decoding& decoding, bool prompt)
      : translator_(translator),
        decoding_(decoding),
        unknown_(translator.source()),
        prompt_(prompt) {}

  void run() {
    if (prompt_) std::cerr << "One line in, one line out; Ctrl-D ends.\n";
    int64_t number = 0;
    std::string line;
    while (true) {
      if (prompt_) std::cerr << "> ";
      int64_t taken = 0;
      const bool is_short = read_line(*std::cin.rdbuf(), line, taken);
      if (taken == 0) break;
      if (++number == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
      add(line, is_short, number);
    }
    flush();
    check(std::ferror(stdin) == 0, "standard input: cannot be read after line {}", number);
    if (prompt_) std::cerr << "\n";
  }

 private:
  void add(const std::string& line, bool is_short, int64_t number) {
    const std::string text = is_short ? trimmed(line) : "";
    try {
      check(is_short, "the line is longer than 1 MB");
      translator_.check_length(text);
      unknown_.warn(text);
    } catch (const Error& error) {
      flush();
      fail("standard input:{}: {}", number, error.what());
    }
    lines_.push_back(text);
    if (prompt_ || lines_.size() == batch_size) flush();
  }

  void flush() {
    std::vector<std::string> texts;
    std::copy_if(lines_.begin(), lines_.end(), std::back_inserter(texts),
                 [](const std::string& line) { return !line.empty(); });
    const std::vector<std::vector<Translation>> found = translator_.translate(texts, decoding_);
    size_t next = 0;
    for (const std::string& line : lines_) {
      if (line.empty()) {
        std::cout << "\n";
      } else {
        print(found[next++], decoding_);
      }
    }
    std::cout << std::flush;
    lines_.clear();
  }

  static constexpr size_t batch_size = 64;
  Translator& translator_;
  const Decoding& decoding_;
  UnknownTokens unknown_;
  bool prompt_;
  std::vector<std::string> lines_;
};

}  // namespace

int run_translate(const TranslateOptions& options) {
  Translator translator = Translator::load(options.weights);
  say_remarks();
  if (options.texts.empty()) {
    const bool prompt = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    LineTranslator(translator, options.decode, prompt).run();
    return 0;
  }
  std::vector<std::string> texts;
  UnknownTokens unknown(translator.source());
  for (const std::string& text : options.texts) {
    texts.push_back(trimmed(text));
    check(!texts.back().empty(), "translate: a text is empty; it must hold at least one character");
    unknown.warn(texts.back());
  }
  for (const auto& found : translator.translate(texts, options.decode)) {
    print(found, options.decode);
  }
  return 0;
}

int run_show(const ShowOptions& options) {
  Translator translator = Translator::load(options.weights);
  say_remarks();
  const std::string text = trimmed(options.text);
  check(!text.empty(), "show: the text is empty; it must hold at least one character");
  check(!translator.source().encode(text).empty(), "show: the text holds no token");
  UnknownTokens(translator.source()).warn(text);
  Report report;
  report.title = text;
  const std::vector<Translation> all = translator.translate({text}, options.decode).front();
  for (const Translation& found : all) {
    if (options.decode.options.n_best > 1) std::cout << fmt::format("{:.4f}\t", found.score);
    std::cout << printable(found.text) << "\n\n";
    if (!found.map.target.empty()) print_map(found.map);
    report.maps.push_back(found.map);
  }
  if (!options.svg.empty()) write_file(options.svg, to_svg(report.maps.front()));
  if (!options.html.empty()) write_file(options.html, to_page(report));
  return 0;
}

}  // namespace regrad::example

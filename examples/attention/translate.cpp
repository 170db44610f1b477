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
void print(const std::vector<Translation>& found, const DecodeOptions& options) {
  for (const Translation& one : found) {
    if (options.n_best > 1) std::cout << fmt::format("{:.4f}\t", one.score);
    std::cout << answer(one.text) << "\n";
  }
  if (options.n_best > 1) std::cout << "\n";
}

// Says of each token once that the model was never shown it: then its answer means little.
class Strangers {
 public:
  explicit Strangers(const Vocabulary& source) : source_(source) {}
  void look_at(const std::string& text) {
    const std::vector<int64_t> ids = source_.encode(text);
    if (std::find(ids.begin(), ids.end(), Vocabulary::unk) == ids.end()) return;
    const std::vector<std::string> tokens = source_.tokenise(text);
    std::vector<std::string> news;
    size_t more = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] != Vocabulary::unk || !told_.insert(tokens[i]).second) continue;
      if (news.size() < most_told) {
        news.push_back('"' + shortened(tokens[i]) + '"');
      } else {
        ++more;
      }
    }
    if (news.empty()) return;
    say(fmt::format("\"{}\": the model was not trained on {}{}", shortened(text),
                    fmt::join(news, ", "), more > 0 ? fmt::format(" and {} more", more) : ""));
  }

 private:
  static constexpr size_t most_told = 10;
  const Vocabulary& source_;
  std::set<std::string> told_;
};

// Lines in, as many lines out: an empty line stays one. Batches keep a pipe fast; a person typing
// gets an answer to each line.
void translate_stream(Translator& translator, const DecodeOptions& how, bool prompt) {
  const size_t at_once = prompt ? 1 : 64;
  Strangers strangers(translator.source());
  std::vector<std::string> lines;
  const auto flush = [&] {
    std::vector<std::string> texts;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(texts),
                 [](const std::string& line) { return !line.empty(); });
    const std::vector<std::vector<Translation>> answers = translator.translate(texts, how);
    size_t next = 0;
    for (const std::string& line : lines) {
      if (line.empty()) {
        std::cout << "\n";
      } else {
        print(answers[next++], how);
      }
    }
    std::cout << std::flush;
    lines.clear();
  };
  if (prompt) std::cerr << "One line in, one line out; Ctrl-D ends.\n";
  int64_t number = 0;
  std::string line;
  for (int64_t taken = 1; taken > 0;) {
    if (prompt) std::cerr << "> ";
    const bool is_short = read_line(*std::cin.rdbuf(), line, taken);
    if (taken == 0) break;
    if (++number == 1 && line.starts_with(byte_order_mark)) line.erase(0, byte_order_mark.size());
    lines.push_back(is_short ? trimmed(line) : "");
    try {
      check(is_short, "the line is longer than 1 MB");
      translator.check_length(lines.back());
      strangers.look_at(lines.back());
    } catch (const Error& error) {
      lines.pop_back();
      flush();
      fail("standard input:{}: {}", number, error.what());
    }
    if (lines.size() == at_once) flush();
  }
  flush();
  check(std::ferror(stdin) == 0, "standard input: cannot be read after line {}", number);
  if (prompt) std::cerr << "\n";
}

}  // namespace

int run_translate(const TranslateOptions& options) {
  Translator translator = Translator::load(options.weights);
  say_remarks();
  if (options.texts.empty()) {
    translate_stream(translator, options.decode,
                     isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1);
    return 0;
  }
  std::vector<std::string> texts;
  Strangers strangers(translator.source());
  for (const std::string& text : options.texts) {
    texts.push_back(trimmed(text));
    check(!texts.back().empty(), "translate: a text is empty; it must hold at least one character");
    strangers.look_at(texts.back());
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
  Strangers(translator.source()).look_at(text);
  const std::vector<Translation> all = translator.translate({text}, options.decode).front();
  std::vector<AttentionMap> maps;
  for (const Translation& found : all) {
    if (options.decode.n_best > 1) std::cout << fmt::format("{:.4f}\t", found.score);
    std::cout << printable(found.text) << "\n\n";
    if (!found.map.target.empty()) print_map(found.map);
    maps.push_back(found.map);
  }
  if (!options.svg.empty()) write_file(options.svg, to_svg(maps.front()));
  if (!options.html.empty()) {
    Report report;
    report.title = text;
    report.maps = maps;
    write_file(options.html, to_page(report));
  }
  return 0;
}

}  // namespace regrad::example

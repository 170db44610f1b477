#include "examples/report/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <numeric>
#include <utility>

#include "examples/report/page.h"
#include "examples/runs/run_directory.h"
#include "examples/runs/terminal.h"
#include "examples/text/unicode.h"

namespace regrad::example {
namespace {

constexpr int default_columns = 100;

std::string cell(const std::string& text) {
  std::string result = printable(text);
  std::replace(result.begin(), result.end(), ' ', '_');
  return result;
}

// Steps are rows; a figure that was not measured at a step is an empty cell.
std::string curves_table(const std::vector<Series>& curves) {
  std::map<int64_t, std::vector<std::string>> rows;
  std::string table = "step";
  for (size_t i = 0; i < curves.size(); ++i) {
    table += "\t" + cell(curves[i].name);
    for (const auto& [step, value] : curves[i].points) {
      std::vector<std::string>& row = rows[step];
      row.resize(curves.size());
      row[i] = fmt::format("{:.6g}", value);
    }
  }
  table += "\n";
  for (const auto& [step, row] : rows) {
    table += fmt::format("{}\t{}\n", step, fmt::join(row, "\t"));
  }
  return table;
}

}  // namespace

void set_examples(Report& report, std::vector<Example> examples, size_t count) {
  const auto take = [&](auto comes_first) {
    std::stable_sort(examples.begin(), examples.end(), comes_first);
    const auto end =
        examples.begin() + static_cast<std::ptrdiff_t>(std::min(count, examples.size()));
    std::vector<Example> taken(examples.begin(), end);
    examples.erase(examples.begin(), end);
    return taken;
  };
  report.worst = take([](const Example& a, const Example& b) { return a.score < b.score; });
  report.best = take([](const Example& a, const Example& b) { return a.score > b.score; });
}

double similarity(const std::string& text, const std::string& reference) {
  const std::vector<std::string_view> a = code_points(text), b = code_points(reference);
  std::vector<size_t> edits(b.size() + 1);  // from the first i points of a to the first j of b
  std::iota(edits.begin(), edits.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(edits[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = edits[j];
      edits[j] = std::min({changed, edits[j] + 1, edits[j - 1] + 1});
    }
  }
  const size_t longer = std::max(a.size(), b.size());
  if (longer == 0) return 100;
  return 100 * (1 - static_cast<double>(edits.back()) / static_cast<double>(longer));
}

void write_report(const std::string& directory, const Report& report) {
  write_file(directory + "/report.html", to_page(report));
  if (!report.maps.empty()) {
    write_file(directory + "/attention.svg", to_svg(report.maps.front()));
  }
  write_file(directory + "/curves.tsv", curves_table(report.curves));
}

void print_map(const AttentionMap& map) {
  const bool colour = obeys_escapes(STDOUT_FILENO) && wants_colour();
  std::cout << to_terminal(map, colour, columns_of_terminal(STDOUT_FILENO, default_columns));
}

}  // namespace regrad::example

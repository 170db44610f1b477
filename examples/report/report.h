// What a run leaves behind for people: one page with everything, one picture, and the figures.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "examples/report/heatmap.h"

namespace regrad::example {

using Curve = std::vector<std::pair<int64_t, double>>;           // (step, value)
using Facts = std::vector<std::pair<std::string, std::string>>;  // (what, value), as text

// Values are in the unit, for example {"train", "loss, nats a token", ..} or {"exact match", "%",
// ..}; curves of one unit share a chart. A value that is not finite leaves a gap.
struct Series {
  std::string name, unit;
  Curve points;
};

// What the model attended to after so many steps, always for the same sentences.
struct Snapshot {
  int64_t step = 0;
  std::vector<AttentionMap> maps;
};

struct Example {
  std::string source, output, reference;
  double score = 0;
};

// Empty parts are left out of the page.
struct Report {
  std::string title;
  Facts facts;
  std::vector<Series> curves;
  std::vector<AttentionMap> maps;
  std::vector<Snapshot> snapshots;
  std::vector<Example> best, worst;  // set_examples() fills them
  std::string score_name;            // what Example::score is, for example "chrF"
};

// The `count` highest scores into best, highest first, and the `count` lowest into worst, lowest
// first; of equals the earlier. No example is in both: worst has the first choice.
void set_examples(Report& report, std::vector<Example> examples, std::size_t count);

// 100 for equal texts, 0 where nothing is left in place: 100 (1 - edits / length of the longer), in
// code points (Levenshtein, 1966). Throws Error where a text is not UTF-8.
double similarity(const std::string& text, const std::string& reference);

// directory/report.html (page.h), directory/attention.svg (the first map) and directory/curves.tsv
// (a row for each step, a column for each curve). Throws Error as to_page() and write_file() do.
void write_report(const std::string& directory, const Report& report);

// Where a map goes on standard output: colours on a terminal, shades of grey in a file.
void print_map(const AttentionMap& map);

}  // namespace regrad::example

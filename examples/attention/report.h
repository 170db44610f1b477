// What a run leaves behind: weights, one page with everything, one picture, and the figures.
#pragma once

#include <string>
#include <vector>

#include "examples/attention/heatmap.h"

namespace regrad::example {

struct Report {
  std::string title;
  Facts facts;
  Curve losses, accuracies;
  std::vector<AttentionMap> maps;
};

// Creates the directory, and makes sure that files can be written there. Throws Error if not.
void prepare_directory(const std::string& directory);

// Writes text so that either the old file or the whole new one is there. Throws Error if it cannot.
void write_file(const std::string& path, const std::string& text);

// directory/report.html, directory/attention.svg (the first map), directory/curves.tsv
void write_report(const std::string& directory, const Report& report);

// Where a map goes on standard output: colours on a terminal, shades of grey in a file.
void print_map(const AttentionMap& map);

}  // namespace regrad::example

#include "examples/attention/report.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include "autograd/check.h"

namespace regrad::example {
namespace {

constexpr int default_columns = 100;

int terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return default_columns;
}

// Steps are rows; a figure that was not measured at a step is an empty cell.
std::string curves_table(const Report& report) {
  std::map<int64_t, std::pair<std::string, std::string>> rows;
  for (const auto& [step, loss] : report.losses) rows[step].first = fmt::format("{:.6g}", loss);
  for (const auto& [step, share] : report.accuracies) {
    rows[step].second = fmt::format("{:.6g}", share);
  }
  std::string table = "step\tloss\theld_out_exact_match\n";
  for (const auto& [step, row] : rows) {
    table += fmt::format("{}\t{}\t{}\n", step, row.first, row.second);
  }
  return table;
}

}  // namespace

void prepare_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  check(!error, "{}: cannot create this folder: {}", directory, error.message());
  const std::string probe = directory + "/.writable";
  {
    std::ofstream file(probe);
    check(file.good(), "{}: cannot write into this folder: {}", directory, std::strerror(errno));
  }
  std::filesystem::remove(probe, error);
}

void write_file(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".unfinished";
  {
    std::ofstream file(unfinished, std::ios::binary);
    check(file.good(), "{}: cannot be written: {}", path, std::strerror(errno));
    file << text << std::flush;
    check(file.good(), "{}: could not be written whole: {}", path, std::strerror(errno));
  }
  std::error_code error;
  std::filesystem::rename(unfinished, path, error);
  check(!error, "{}: cannot be written: {}", path, error.message());
}

void write_report(const std::string& directory, const Report& report) {
  write_file(directory + "/report.html",
             to_html(report.maps, report.losses, report.accuracies, report.title, report.facts));
  if (!report.maps.empty()) {
    write_file(directory + "/attention.svg", to_svg(report.maps.front()));
  }
  write_file(directory + "/curves.tsv", curves_table(report));
}

void print_map(const AttentionMap& map) {
  const char* no_colour = std::getenv("NO_COLOR");
  const bool colour = isatty(STDOUT_FILENO) == 1 && (no_colour == nullptr || *no_colour == '\0');
  std::cout << to_terminal(map, colour, terminal_columns());
}

}  // namespace regrad::example

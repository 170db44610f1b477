#include "examples/runs/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

#include "nn/files.h"

namespace regrad::example {
namespace {

constexpr const char* header =
    "step,epoch,train_loss,held_out_loss,accuracy,lr,seconds,tokens_per_second,crc32c";

std::string cell(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

std::optional<Metrics> read_row(std::string line) {
  const size_t end = std::min(line.rfind(','), line.size());
  const std::string checksum = line.substr(end);
  line.resize(end);
  if (checksum != fmt::format(",{:08x}", nn::files::crc32c(line))) return std::nullopt;
  std::vector<double> cells;
  std::istringstream parts(line + ",");
  for (std::string part; cells.size() <= 8 && std::getline(parts, part, ',');) {
    double value = std::nan("");
    const char* last = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), last, value);
    if (!part.empty() && (error != std::errc() || stop != last)) return std::nullopt;
    cells.push_back(value);
  }
  const auto is_count = [](double value) { return std::abs(value) < 1e15; };
  if (cells.size() != 8 || !is_count(cells[0]) || !is_count(cells[1])) return std::nullopt;
  return Metrics{static_cast<int64_t>(cells[0]),
                 static_cast<int64_t>(cells[1]),
                 cells[2],
                 cells[3],
                 cells[4],
                 cells[5],
                 cells[6],
                 cells[7]};
}

}  // namespace

std::string metrics_table(const std::vector<Metrics>& rows) {
  std::string text = std::string(header) + "\n";
  for (const Metrics& row : rows) {
    const std::string line =
        fmt::format("{},{},{},{},{},{},{:.3f},{:.0f}", row.step, row.epoch, cell(row.train_loss),
                    cell(row.held_out_loss), cell(row.accuracy), cell(row.lr), row.seconds,
                    row.tokens_per_second);
    text += fmt::format("{},{:08x}\n", line, nn::files::crc32c(line));
  }
  return text;
}

std::vector<Metrics> read_metrics(const std::string& text) {
  std::vector<Metrics> rows;
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != header) return rows;
  while (std::getline(lines, line)) {
    const std::optional<Metrics> row = read_row(std::move(line));
    if (!row) break;
    rows.push_back(*row);
  }
  return rows;
}

}  // namespace regrad::example

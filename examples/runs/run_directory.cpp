#include "examples/runs/run_directory.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "autograd/check.h"

namespace regrad::example {
namespace {

namespace fs = std::filesystem;

constexpr const char* columns =
    "step,epoch,train_loss,held_out_loss,accuracy,rate,seconds,tokens_per_second";
constexpr std::string_view sum_column = ",crc32c";
constexpr const char *prefix = "checkpoint-", *suffix = ".safetensors", *sum_key = "crc32c ",
                     *best_key = "best";
constexpr int64_t largest_config = 1 << 16, largest_pointer = 256,
                  largest_metrics = 1 << 24;  // bytes

std::string cell(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

// The number N of checkpoint-N.safetensors, or -1.
int64_t step_of(std::string_view name) {
  const std::string_view before = prefix, after = suffix;
  if (!name.starts_with(before) || !name.ends_with(after)) return -1;
  name.remove_prefix(before.size());
  if (name.size() <= after.size()) return -1;
  name.remove_suffix(after.size());
  int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  return whole && std::to_string(step) == name ? step : -1;
}

// Empty where there is no such file.
std::string content(const std::string& path, int64_t most) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  return nn::files::in_file(path, [&] { return nn::files::read_text(path, most); });
}

// Checkpoints from before there was a checksum of the whole file have one for each tensor.
void verify(const std::string& path, const nn::Safetensors& file) {
  if (file.verified) return;
  for (const auto& [name, value] : file.tensors) {
    const auto found = file.metadata.find(sum_key + name);
    check(found != file.metadata.end(), "{}: damaged: it has no checksum", path);
    check(found->second == fmt::format("{:08x}", nn::files::crc32c(nn::files::bytes_of(value))),
          "{}: damaged: the checksum of \"{}\" is not that of its numbers", path,
          shortened(name));
  }
}

}  // namespace

std::string metrics_table(const std::vector<Metrics>& rows) {
  std::string text = fmt::format("{}{}\n", columns, sum_column);
  for (const Metrics& row : rows) {
    const std::string line =
        fmt::format("{},{},{},{},{},{},{:.3f},{:.0f}", row.step, row.epoch, cell(row.train_loss),
                    cell(row.held_out_loss), cell(row.accuracy), cell(row.rate), row.seconds,
                    row.tokens_per_second);
    text += fmt::format("{},{:08x}\n", line, nn::files::crc32c(line));
  }
  return text;
}

std::vector<Metrics> read_metrics(const std::string& text) {
  std::vector<Metrics> rows;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const bool has_sums = line == columns + std::string(sum_column);
  if (!has_sums && line != columns) return rows;  // the second is from before there were checksums
  while (std::getline(lines, line)) {
    if (has_sums) {
      const size_t end = std::min(line.rfind(','), line.size());
      const std::string sum = line.substr(end);
      line.resize(end);
      if (sum != fmt::format(",{:08x}", nn::files::crc32c(line))) return rows;
    }
    std::vector<double> cells;
    std::istringstream parts(line + ",");
    for (std::string part; cells.size() <= 8 && std::getline(parts, part, ',');) {
      double value = std::nan("");
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
      if (!part.empty() && (error != std::errc() || end != part.data() + part.size())) return rows;
      cells.push_back(value);
    }
    if (cells.size() != 8 || !(std::abs(cells[0]) < 1e15) || !(std::abs(cells[1]) < 1e15)) {
      return rows;
    }
    rows.push_back({static_cast<int64_t>(cells[0]), static_cast<int64_t>(cells[1]), cells[2],
                    cells[3], cells[4], cells[5], cells[6], cells[7]});
  }
  return rows;
}

DataMark mark_of(const std::string& path) {
  if (path.empty()) return {};
  DataMark mark;
  nn::files::in_file(path, [&] {
    const nn::files::Input file(path);
    mark.bytes = file.size();
    mark.checksum = fmt::format("crc32c {:08x}", file.sum(0, file.size()));
  });
  return mark;
}

void RunDirectory::lock() {
  auto lock = std::make_unique<nn::files::Lock>(path_ + "/.lock");
  const bool is_mine = nn::files::in_file(path_ + "/.lock", [&] { return lock->take(); });
  check(is_mine, "{}: another run is writing into this folder; let it end, or give another --out",
        path_);
  lock_ = std::move(lock);
}

// What no run wrote is not overwritten.
void RunDirectory::refuse_others() const {
  try {
    config();
    return;
  } catch (const Error&) {
  }
  for (const char* name : {"config.json", "weights.safetensors", "metrics.csv", "curves.tsv",
                           "report.html", "attention.svg", "last", "best"}) {
    check(!fs::exists(path_ + "/" + name),
          "{}: holds no run, but a {} that would be overwritten; give another --out", path_, name);
  }
}

std::string RunDirectory::set_aside() {
  if (steps().empty()) {
    refuse_others();
    return {};
  }
  std::string base = path_;
  while (base.size() > 1 && base.ends_with('/')) base.pop_back();
  int64_t number = 1;
  while (fs::exists(fmt::format("{}.{}", base, number))) ++number;
  const std::string place = fmt::format("{}.{}", base, number);
  std::error_code error;
  fs::rename(path_, place, error);
  if (!error) fs::create_directory(path_, error);
  check(!error, "{}: holds a run that cannot be moved to {}: {}; give another --out", path_, place,
        error.message());
  lock();
  return place;
}

void RunDirectory::begin(const Config& config) {
  for (const char* name : {"last", "best", "metrics.csv"}) fs::remove(path_ + "/" + name);
  for (const int64_t step : steps()) fs::remove(checkpoint(step));
  remove_unfinished();
  write("config.json", config_text(config));
}

Config RunDirectory::config() const {
  const std::string path = path_ + "/config.json", text = content(path, largest_config);
  check(!text.empty(),
        "{}: missing or empty; --resume needs the folder of a run that `train` began", path);
  return nn::files::in_file(path, [&] { return read_config(text); });
}

void RunDirectory::remove_unfinished() const {
  std::error_code ignored;
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(path_, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.starts_with(prefix) || name.starts_with("last.") ||
                      name.starts_with("best.") || name.starts_with("metrics.csv.") ||
                      name.starts_with("config.json.") || name.starts_with("weights.");
    if (ours && name.ends_with(".tmp")) unfinished.push_back(entry.path());
  }
  for (const fs::path& path : unfinished) fs::remove(path, ignored);
}

void RunDirectory::write(const std::string& name, const std::string& text) const {
  nn::files::in_file(path_ + "/" + name, [&] { nn::files::write_text(path_ + "/" + name, text); });
}

std::vector<Metrics> RunDirectory::metrics() const {
  const std::string path = path_ + "/metrics.csv", text = content(path, largest_metrics);
  const std::vector<Metrics> rows = read_metrics(text);
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  check(lines == (text.empty() ? 0 : rows.size() + 1) && (text.empty() || text.ends_with('\n')),
        "{}:{}: damaged: it is not what was written; without this file the run goes on, and its "
        "curves begin there",
        path, rows.size() + 2);
  return rows;
}

void RunDirectory::save(int64_t step, const nn::NamedTensors& tensors, nn::Metadata metadata,
                        bool is_best, int64_t keep) const {
  if (is_best) metadata[best_key] = "yes";
  nn::save_safetensors(checkpoint(step), tensors, metadata, {.checksum = true});
  const std::string name = prefix + std::to_string(step) + suffix + "\n";
  write("last", name);
  if (is_best) write("best", name);
  const std::vector<int64_t> all = steps();
  const int64_t best = named_by("best");
  std::error_code ignored;
  for (size_t i = static_cast<size_t>(keep); i < all.size(); ++i) {
    if (all[i] != best && all[i] != step) fs::remove(checkpoint(all[i]), ignored);
  }
}

RunDirectory::Found RunDirectory::newest(const std::function<void(const std::string&)>& say) const {
  for (const int64_t step : steps()) {
    try {
      return open(step);
    } catch (const Error& error) {
      say(fmt::format("{}; the checkpoint before it is used", error.what()));
    }
  }
  return {};
}

RunDirectory::Found RunDirectory::best() const {
  const int64_t step = named_by("best");
  if (step < 0) return {};
  Found found = open(step);
  check(!found.file.verified || found.file.metadata.contains(best_key),
        "{}/best: damaged: it names {}, which was not the best", path_, found.path);
  return found;
}

std::vector<int64_t> RunDirectory::steps() const {
  std::vector<int64_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path_, ignored)) {
    const int64_t step = step_of(entry.path().filename().string());
    if (step >= 0) found.push_back(step);
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

std::string RunDirectory::checkpoint(int64_t step) const {
  return fmt::format("{}/{}{}{}", path_, prefix, step, suffix);
}

RunDirectory::Found RunDirectory::open(int64_t step) const {
  Found found{step, checkpoint(step), nn::load_safetensors(checkpoint(step))};
  verify(found.path, found.file);
  return found;
}

// -1 where there is no such file.
int64_t RunDirectory::named_by(const std::string& pointer) const {
  std::string name = content(path_ + "/" + pointer, largest_pointer);
  if (name.empty()) return -1;
  if (name.ends_with('\n')) name.pop_back();
  const int64_t step = step_of(name);
  check(step >= 0, "{}/{}: damaged: it names no checkpoint but \"{}\"", path_, pointer,
        shortened(name));
  return step;
}

}  // namespace regrad::example

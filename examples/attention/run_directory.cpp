#include "examples/attention/run_directory.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "autograd/check.h"
#include "examples/attention/checksum.h"
#include "nn/files.h"

namespace regrad::example {
namespace {

namespace fs = std::filesystem;

constexpr const char* columns =
    "step,epoch,train_loss,held_out_loss,accuracy,rate,seconds,tokens_per_second";
constexpr const char *prefix = "checkpoint-", *suffix = ".safetensors", *sum_key = "crc32c ";

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

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void verify(const std::string& path, const nn::Safetensors& file) {
  for (const auto& [name, value] : file.tensors) {
    const auto found = file.metadata.find(sum_key + name);
    check(found != file.metadata.end(), "{}: damaged: \"{}\" has no checksum", path,
          nn::files::printable(name));
    check(found->second == fmt::format("{:08x}", crc32c(value)),
          "{}: damaged: the checksum of \"{}\" is not that of its numbers", path,
          nn::files::printable(name));
  }
}

}  // namespace

std::string metrics_table(const std::vector<Metrics>& rows) {
  std::string text = std::string(columns) + "\n";
  for (const Metrics& row : rows) {
    text += fmt::format("{},{},{},{},{},{},{:.3f},{:.0f}\n", row.step, row.epoch,
                        cell(row.train_loss), cell(row.held_out_loss), cell(row.accuracy),
                        cell(row.rate), row.seconds, row.tokens_per_second);
  }
  return text;
}

std::vector<Metrics> read_metrics(const std::string& text) {
  std::vector<Metrics> rows;
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != columns) return rows;
  while (std::getline(lines, line)) {
    std::vector<double> cells;
    std::istringstream parts(line + ",");
    for (std::string part; std::getline(parts, part, ',');) {
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
  uint32_t sum = 0;
  std::ifstream file(path, std::ios::binary);
  std::string block(1 << 16, '\0');
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    const auto got = static_cast<size_t>(file.gcount());
    sum = crc32c(std::string_view(block).substr(0, got), sum);
    mark.bytes += file.gcount();
  }
  mark.checksum = fmt::format("crc32c {:08x}", sum);
  return mark;
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

std::string RunDirectory::set_aside() const {
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
  return place;
}

void RunDirectory::begin(const Config& config) {
  for (const char* name : {"last", "best", "metrics.csv"}) fs::remove(path_ + "/" + name);
  for (const int64_t step : steps()) fs::remove(checkpoint(step));
  remove_unfinished();
  write("config.json", config_text(config));
}

Config RunDirectory::config() const {
  const std::string path = path_ + "/config.json", text = content(path);
  check(!text.empty(),
        "{}: missing or empty; --resume needs the folder of a run that `train` began", path);
  try {
    return read_config(text);
  } catch (const Error& error) {
    fail("{}: {}", path, error.what());
  }
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
  try {
    nn::files::Output file(path_ + "/" + name);
    file.write(text);
    file.commit();
  } catch (const Error& error) {
    fail("{}/{}: {}", path_, name, error.what());
  }
}

std::string RunDirectory::read(const std::string& name) const {
  return content(path_ + "/" + name);
}

void RunDirectory::save(int64_t step, const nn::NamedTensors& tensors, nn::Metadata metadata,
                        bool is_best, int64_t keep) const {
  for (const auto& [name, value] : tensors) {
    metadata[sum_key + name] = fmt::format("{:08x}", crc32c(value));
  }
  nn::save_safetensors(checkpoint(step), tensors, metadata);
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
  return step < 0 ? Found() : open(step);
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

int64_t RunDirectory::named_by(const std::string& pointer) const {
  std::string name = read(pointer);
  if (name.ends_with('\n')) name.pop_back();
  return step_of(name);
}

}  // namespace regrad::example

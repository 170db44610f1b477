#include "examples/runs/run_directory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "autograd/check.h"

namespace regrad::example {
namespace {

namespace fs = std::filesystem;

constexpr const char *prefix = "checkpoint-", *suffix = ".safetensors", *best_key = "best";
constexpr int64_t max_config = 1 << 16, max_pointer = 256, max_metrics = 1 << 24;  // bytes

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
std::string content(const std::string& path, int64_t max_bytes) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  return nn::files::in_file(path, [&] { return nn::files::read_text(path, max_bytes); });
}

}  // namespace

void prepare_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  check(!error, "{}: cannot create this folder: {}", directory, error.message());
  nn::files::in_file(directory + ": cannot write into this folder",
                     [&] { nn::files::Output(directory + "/.writable"); });
}

void write_file(const std::string& path, const std::string& text) {
  nn::files::in_file(path, [&] { nn::files::write_text(path, text); });
}

void RunDirectory::lock() {
  auto lock = std::make_unique<nn::files::Lock>(path_ + "/.lock");
  const bool is_mine = nn::files::in_file(path_ + "/.lock", [&] { return lock->take(); });
  check(is_mine, "{}: another run is writing into this folder; let it end, or give another --out",
        path_);
  lock_ = std::move(lock);
}

// What no run wrote is not overwritten.
void RunDirectory::refuse_others(const Settings& settings) const {
  try {
    read_config(settings);
    return;
  } catch (const Error&) {
  }
  for (const char* name : {"config.json", "weights.safetensors", "metrics.csv", "curves.tsv",
                           "report.html", "attention.svg", "last", "best"}) {
    check(!fs::exists(path_ + "/" + name),
          "{}: holds no run, but a {} that would be overwritten; give another --out", path_, name);
  }
}

std::string RunDirectory::set_aside(const Settings& settings) {
  if (steps().empty()) {
    refuse_others(settings);
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

void RunDirectory::begin(const Settings& settings) {
  for (const char* name : {"last", "best", "metrics.csv"}) fs::remove(path_ + "/" + name);
  for (const int64_t step : steps()) fs::remove(checkpoint(step));
  remove_unfinished();
  write("config.json", config_text(settings));
}

void RunDirectory::read_config(const Settings& settings) const {
  const std::string path = path_ + "/config.json", text = content(path, max_config);
  check(!text.empty(),
        "{}: missing or empty; --resume needs the folder of a run that `train` began", path);
  nn::files::in_file(path, [&] { example::read_config(text, settings); });
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
  write_file(path_ + "/" + name, text);
}

std::vector<Metrics> RunDirectory::metrics() const {
  const std::string path = path_ + "/metrics.csv", text = content(path, max_metrics);
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
  check(found.file.metadata.contains(best_key),
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
  check(found.file.verified, "{}: damaged: it has no checksum", found.path);
  return found;
}

// -1 where there is no such file.
int64_t RunDirectory::named_by(const std::string& pointer) const {
  std::string name = content(path_ + "/" + pointer, max_pointer);
  if (name.empty()) return -1;
  if (name.ends_with('\n')) name.pop_back();
  const int64_t step = step_of(name);
  check(step >= 0, "{}/{}: damaged: it names no checkpoint but \"{}\"", path_, pointer,
        shortened(name));
  return step;
}

}  // namespace regrad::example

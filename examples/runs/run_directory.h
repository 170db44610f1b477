// The folder of a training run: config.json, metrics.csv, checkpoint-N.safetensors, and the files
// `last` and `best`, each of which names a checkpoint. Every file is replaced whole or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "examples/attention/options.h"
#include "nn/checkpoint.h"
#include "nn/files.h"

namespace regrad::example {

// What was measured at a step; NaN where it was not.
struct Metrics {
  int64_t step = 0, epoch = 0;
  double train_loss = 0, held_out_loss = 0, accuracy = 0, rate = 0, seconds = 0;
  double tokens_per_second = 0;
};

// A header and a line for each row, which ends in the checksum of what stands before it.
std::string metrics_table(const std::vector<Metrics>& rows);
// Reads what metrics_table() wrote, up to the first line that is not of that form.
std::vector<Metrics> read_metrics(const std::string& text);

// The data of a run, so that another file is not taken for it.
struct DataMark {
  int64_t bytes = 0;
  std::string checksum;
  bool operator==(const DataMark&) const = default;
};
DataMark mark_of(const std::string& path);  // of no file: zeros

// All options and the mark as JSON, and back. Trusts nothing: throws Error for a text that is not
// JSON, lacks an option, has an unknown one, or gives one a value that the program would refuse.
struct Config {
  TrainOptions options;
  DataMark data;
};
std::string config_text(const Config& config);
Config read_config(const std::string& text);

class RunDirectory {
 public:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // Until this object goes, no other run writes here: an Error where one does already.
  void lock();

  // Moves a run that is here to the first free of PATH.1, PATH.2, ... and says where; "" if none
  // is, and an Error if other files would be overwritten. What is here then is locked.
  std::string set_aside();
  void begin(const Config& config);  // removes what a run before left, then writes config.json
  Config config() const;
  void remove_unfinished() const;  // temporary files of a save that was killed

  void write(const std::string& name, const std::string& text) const;

  // Writes checkpoint-STEP.safetensors with a checksum of all its bytes, then makes `last` and, if
  // so, `best` name it, then removes all but the newest `keep` and the best.
  void save(int64_t step, const nn::NamedTensors& tensors, nn::Metadata metadata, bool is_best,
            int64_t keep) const;

  std::vector<Metrics> metrics() const;  // of metrics.csv; an Error where it is damaged

  // The newest checkpoint that is whole; step -1 where there is none. A damaged one is passed over
  // and named to `say`.
  struct Found {
    int64_t step = -1;
    std::string path;
    nn::Safetensors file;
  };
  Found newest(const std::function<void(const std::string&)>& say) const;
  Found best() const;  // step -1 where there is none; throws Error where it is damaged

  std::vector<int64_t> steps() const;  // of the checkpoints there, the newest first

 private:
  void refuse_others() const;
  std::string checkpoint(int64_t step) const;
  Found open(int64_t step) const;
  int64_t named_by(const std::string& pointer) const;

  std::string path_;
  std::unique_ptr<nn::files::Lock> lock_;
};

}  // namespace regrad::example

// The folder of a training run: config.json, metrics.csv, checkpoint-N.safetensors, and the files
// `last` and `best`, each of which names a checkpoint. Every file is replaced whole or not at all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "examples/runs/metrics.h"
#include "examples/runs/settings.h"
#include "nn/checkpoint.h"
#include "nn/files.h"

namespace regrad::example {

// Creates the directory, and makes sure that files can be written there. Throws Error if not.
void prepare_directory(const std::string& directory);

// Writes text so that either the old file or the whole new one is there. Throws Error if it cannot,
// and where something other than a file is there.
void write_file(const std::string& path, const std::string& text);

class RunDirectory {
 public:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // Until this object goes, no other run writes here: an Error where one does already.
  void lock();

  // Moves a run that is here to the first free of PATH.1, PATH.2, ... and says where; "" if none
  // is, and an Error if other files would be overwritten. What is here then is locked. A run is
  // recognised by its checkpoints, or by a config.json of these settings.
  std::string set_aside(const Settings& settings);
  // Removes what a run before left, then writes config.json.
  void begin(const Settings& settings);
  void read_config(const Settings& settings) const;
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
  void refuse_others(const Settings& settings) const;
  std::string checkpoint(int64_t step) const;
  Found open(int64_t step) const;
  int64_t named_by(const std::string& pointer) const;

  std::string path_;
  std::unique_ptr<nn::files::Lock> lock_;
};

}  // namespace regrad::example

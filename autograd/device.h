// Where a tensor's elements live.
#pragma once

#include <cstdint>

namespace regrad {

struct Device {
  enum class Kind : uint8_t { cpu, cuda } kind = Kind::cpu;
  bool operator==(const Device&) const = default;  // the same device
};

inline constexpr Device cpu{};
Device cuda();                               // an Error when the build or the machine has none
bool cuda_is_available();                    // whether cuda() would return
constexpr const char* name(Device device) {  // "cpu", "cuda"
  return device.kind == Device::Kind::cpu ? "cpu" : "cuda";
}
Device default_device();  // where a tensor is made that names no device: the cpu, at first
void set_default_device(Device device);  // for all threads; an Error where there is none

}  // namespace regrad

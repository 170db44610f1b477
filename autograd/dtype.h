// What a tensor's elements are, and where they live.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace regrad {

enum class DType : uint8_t { float32, float64, int64, boolean };

inline constexpr DType float32 = DType::float32;  // the default
inline constexpr DType float64 = DType::float64;  // what gradcheck needs
inline constexpr DType int64 = DType::int64;      // indices
inline constexpr DType bool_ = DType::boolean;    // masks: true = may attend, keep, choose

// Whether it is one of the two that have gradients.
constexpr bool is_float(DType dtype) { return dtype == float32 || dtype == float64; }
size_t item_size(DType dtype);  // bytes of one element
const char* name(DType dtype);  // "float32", "float64", "int64", "bool"

template <class T>
inline constexpr DType dtype_of = T::only_float_double_int64_t_and_bool_are_elements;
template <>
inline constexpr DType dtype_of<float> = DType::float32;
template <>
inline constexpr DType dtype_of<double> = DType::float64;
template <>
inline constexpr DType dtype_of<int64_t> = DType::int64;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;

struct Device {
  enum class Kind : uint8_t { cpu, cuda } kind = Kind::cpu;
  bool operator==(const Device&) const = default;  // the same device
};

inline constexpr Device cpu{};
Device cuda();             // an Error when the build or the machine has none
bool cuda_is_available();  // whether cuda() would return
const char* name(Device device);  // "cpu", "cuda"
Device default_device();  // where a tensor is made that names no device: the cpu, at first
void set_default_device(Device device);  // for all threads; an Error where there is none

}  // namespace regrad

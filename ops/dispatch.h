// What every op file needs between tensors and kernels: the table for a dtype, and the Loop for
// operands of one shape. Internal: not part of regrad.h.
#pragma once

#include <functional>
#include <type_traits>

#include "autograd/check.h"
#include "autograd/graph.h"
#include "ops/backend.h"
#include "ops/kernels/table.h"

namespace regrad {

// kernels<T>(x): the table for elements of type T on x's device.
template <class T>
const Kernels<T>& kernels(const Tensor& x) {
  const Backend& table = backend(x.device());
  if constexpr (std::same_as<T, float>)
    return table.float32;
  else if constexpr (std::same_as<T, double>)
    return table.float64;
  else if constexpr (std::same_as<T, int64_t>)
    return table.int64;
  else
    return table.boolean;
}

// Dispatch on x's dtype: each calls body.operator()<T>() once, with T the type of x's elements.
// for_floats() takes float32 and float64, for_numbers() also int64, for_all() also bool.
template <class Body>
void for_floats(const char* op, const Tensor& x, const Body& body) {
  switch (x.dtype()) {
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    default:
      fail("{}: takes float32 or float64, not {}; convert with to(float32)", op, x.dtype());
  }
}

template <class Body>
void for_numbers(const char* op, const Tensor& x, const Body& body) {
  switch (x.dtype()) {
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    case DType::int64:
      return body.template operator()<int64_t>();
    case DType::boolean:
      fail("{}: does not take bool; convert with to(int64) or to(float32)", op);
  }
}

template <class Body>
void for_all(const Tensor& x, const Body& body) {
  switch (x.dtype()) {
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    case DType::int64:
      return body.template operator()<int64_t>();
    case DType::boolean:
      return body.template operator()<bool>();
  }
}

// A pointer to the elements of x for a kernel. Writing through it does not count as a write in
// place: it also serves to fill a new tensor.
template <class T>
T* raw(const Tensor& x) {
  return static_cast<T*>(const_cast<void*>(x.address(dtype_of<T>)));
}

// The same, and null for an argument that is left out.
template <class T>
T* raw_or_null(const Tensor& x) {
  return x.defined() ? raw<T>(x) : nullptr;
}

// x as kernels take it: detached and contiguous. An undefined tensor stays undefined.
inline Tensor kernel_input(const Tensor& x) { return x.defined() ? detached(x).contiguous() : x; }

// A Loop over tensors of one shape, output first, adjacent dimensions coalesced.
Loop make_loop(std::initializer_list<const Tensor*> operands);

// A tensor filled with a number; an Error that names op if the dtype cannot hold it.
Tensor filled(const char* op, const Shape& shape, Number value, DType dtype, Device device);

// The source of a write into `target`: source itself, or a copy if the two overlap in memory so
// that an element could be overwritten before it is read.
Tensor without_overlap(const Tensor& source, const Tensor& target);

// Each is an Error that names op unless a and b agree; check_same_dtype() checks the device too.
void check_same_dtype(const char* op, const Tensor& a, const Tensor& b);
void check_same_device(const char* op, const Tensor& a, const Tensor& b);
// An Error unless index is int64 with all elements in [0, size). A GPU raises it at its next
// download.
void check_index(const char* op, const Tensor& index, int64_t size);

// view += g, for equal shapes; the view may have any strides.
void add_to_view(const Tensor& view, const Tensor& g);

// The gradients of formula(inputs) with respect to its inputs, given the gradient g of its result.
// They are part of the graph. Inputs may be undefined.
using Formula = std::function<Tensor(const std::vector<Tensor>&)>;
std::vector<Tensor> gradients_of(const Formula& formula, std::vector<Tensor> inputs, Needed needed,
                                 const Tensor& g);

// record() for an op whose derivative is a kernel: kernel(g, needed) or kernel(g, needed, y) gives
// the gradients of all inputs. A kernel has no derivative of its own, so while a backward pass is
// itself recorded (create_graph), the gradients are composed of ops instead. `composed` is either
// the op written in ops, (inputs) -> y, which is then differentiated, or its derivative written in
// ops, which takes the same arguments as the kernel.
template <class Composed, class Kernel>
Tensor record_fused(const char* name, Tensor y, const std::vector<Tensor>& inputs,
                    Composed composed, Kernel kernel) {
  if constexpr (std::is_invocable_v<Composed, const std::vector<Tensor>&>) {
    auto gradients = [composed, inputs](const Tensor& g, Needed needed) {
      return gradients_of(composed, inputs, needed, g);
    };
    return record_fused(name, std::move(y), inputs, std::move(gradients), std::move(kernel));
  } else if constexpr (std::is_invocable_v<Kernel, const Tensor&, Needed>) {
    return record(name, std::move(y), inputs,
                  [composed = std::move(composed), kernel = std::move(kernel)](const Tensor& g,
                                                                               Needed needed) {
                    return GradMode::enabled() ? composed(g, needed) : kernel(g, needed);
                  });
  } else {
    return record(name, std::move(y), inputs,
                  [composed = std::move(composed), kernel = std::move(kernel)](
                      const Tensor& g, Needed needed, const Tensor& output) {
                    return GradMode::enabled() ? composed(g, needed, output)
                                               : kernel(g, needed, output);
                  });
  }
}

// How an error message names a tensor: "encoder.weight [64, 48]", or "[64, 48]".
struct Called {
  const Tensor& x;
};
inline Called called(const Tensor& x) { return {x}; }

// Dimension d of x, counted from the end where it is negative; an Error that names op and x where
// there is none.
int64_t dim_of(const Tensor& x, int64_t d, const char* op);
// What a and b broadcast to; the Error names them.
Shape broadcast_shapes(const char* op, const Tensor& a, const Tensor& b);

// x viewed as [outer, n, inner], where n is dimension d, outer all before it and inner all after.
Rows rows_around(const Shape& shape, int64_t d);

}  // namespace regrad

template <>
struct fmt::formatter<regrad::Called> : fmt::formatter<std::string_view> {
  fmt::format_context::iterator format(const regrad::Called&, fmt::format_context&) const;
};

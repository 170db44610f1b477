// The sizes of a tensor, one number for each dimension (at most 8), kept inline: no allocation.
// Strides are kept in the same type. Every product of sizes is checked for overflow. A size of -1
// stands for "infer it" where an op says so (reshape, expand); no tensor has one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace regrad {

class Shape {
 public:
  static constexpr int64_t max_rank = 8;

  Shape() = default;  // rank 0: a single element
  // Of these sizes; an Error for more than 8.
  Shape(std::initializer_list<int64_t> sizes) : Shape(sizes.begin(), sizes.size()) {}
  Shape(const std::vector<int64_t>& sizes) : Shape(sizes.data(), sizes.size()) {}
  Shape(const int64_t* sizes, size_t rank);
  Shape(const Shape& other) { *this = other; }
  Shape& operator=(const Shape& other) {
    rank_ = other.rank_;
    for (int i = 0; i < rank_; ++i) sizes_[i] = other.sizes_[i];
    return *this;
  }

  int64_t rank() const { return rank_; }                      // the number of dimensions
  size_t size() const { return static_cast<size_t>(rank_); }  // so that a Shape is a container
  bool empty() const { return rank_ == 0; }                   // of rank 0, which has one element
  // Size i, from 0. Not checked: at() is.
  int64_t operator[](int64_t i) const { return sizes_[i]; }
  int64_t& operator[](int64_t i) { return sizes_[i]; }
  // The sizes, first to last. Not checked.
  const int64_t* begin() const { return sizes_; }
  const int64_t* end() const { return sizes_ + rank_; }
  int64_t back() const { return sizes_[rank_ - 1]; }
  void push_back(int64_t size);  // an Error where there are 8

  int64_t numel() const;             // the product of the sizes; an Error for one below 0
  Shape contiguous_strides() const;  // row-major; an Error where, in an empty
                                     // tensor too, sizes above 0 multiply to more than 2^57
  std::string str() const;           // "[2, 3]"
  int64_t at(int64_t d, const char* op) const;  // the size of a dimension; -1 is the last
  int64_t dim(int64_t d,
              const char* op) const;  // -1 is the last; an Error naming op if out of range

  bool operator==(const Shape& other) const {  // equal rank and sizes
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (sizes_[i] != other.sizes_[i]) return false;
    }
    return true;
  }

 private:
  int32_t rank_ = 0;
  int64_t sizes_[max_rank];  // only the first rank_ are ever read
};

int64_t checked_mul(int64_t a, int64_t b);  // an Error instead of a wrapped product
int64_t checked_add(int64_t a, int64_t b);  // an Error instead of a wrapped sum

// The index of element number flat of a shape, counted in row-major order: 5 in [2, 3] is [1, 2].
Shape unravel_index(int64_t flat, const Shape& shape);

// Why two shapes do not broadcast: "do not broadcast: dimension 1 from the right is 2 and 3; ..";
// empty where they do.
std::string broadcast_mismatch(const Shape& a, const Shape& b);

// The shape that a and b broadcast to, as in NumPy: aligned at the right, 1 stretches. An Error
// that names op where sizes differ and neither is 1.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

}  // namespace regrad

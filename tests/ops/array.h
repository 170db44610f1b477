// Arrays of doubles and plain loops over them: what the ops are compared with. Nothing here uses
// regrad, so that no mistake can be on both sides.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace twin {

using Index = std::vector<int64_t>;

inline int64_t count(const Index& shape) {
  int64_t product = 1;
  for (int64_t size : shape) product *= size;
  return product;
}

struct Array {
  Index shape;
  std::vector<double> values;

  // The element at an index, which may have more dimensions: aligned at the right, 1 stretches.
  size_t place(const Index& position) const {
    size_t flat = 0;
    const size_t lead = position.size() - shape.size();
    for (size_t d = 0; d < shape.size(); ++d) {
      const auto size = static_cast<size_t>(shape[d]);
      flat = flat * size + (size == 1 ? 0 : static_cast<size_t>(position[lead + d]));
    }
    return flat;
  }
  double operator()(const Index& position) const { return values[place(position)]; }
  double& operator()(const Index& position) { return values[place(position)]; }
  int64_t size(int64_t d) const {
    return shape[static_cast<size_t>(d < 0 ? d + static_cast<int64_t>(shape.size()) : d)];
  }
};

using Arrays = std::vector<Array>;
using Twin = std::function<Array(const Arrays&)>;

// Calls body(index) for every index of a shape, the last dimension fastest.
template <class Body>
void every(const Index& shape, const Body& body) {
  Index position(shape.size(), 0);
  for (int64_t left = count(shape); left > 0; --left) {
    body(static_cast<const Index&>(position));
    for (size_t d = shape.size(); d-- > 0;) {
      if (++position[d] < shape[d]) break;
      position[d] = 0;
    }
  }
}

template <class Value>
Array make(const Index& shape, const Value& value) {
  Array result{shape, {}};
  every(shape, [&](const Index& position) {
    result.values.push_back(static_cast<double>(value(position)));
  });
  return result;
}

inline Index broadcast(const Index& a, const Index& b) {
  if (a.size() < b.size()) return broadcast(b, a);
  Index shape = a;
  for (size_t d = 0; d < b.size(); ++d) {
    int64_t& size = shape[a.size() - b.size() + d];
    if (size == 1) size = b[d];
  }
  return shape;
}

inline Index broadcast(const Arrays& arrays) {
  Index shape;
  for (const Array& x : arrays) shape = broadcast(shape, x.shape);
  return shape;
}

// f(x), f(x, y) or f(x, y, z) of each element, with broadcasting.
template <class F>
Twin each(F f) {
  return [f](const Arrays& x) {
    return make(broadcast(x), [&](const Index& position) {
      if constexpr (std::is_invocable_v<F, double>)
        return f(x[0](position));
      else if constexpr (std::is_invocable_v<F, double, double>)
        return f(x[0](position), x[1](position));
      else
        return f(x[0](position), x[1](position), x[2](position));
    });
  };
}

inline std::vector<bool> marked(const Index& dims, size_t rank) {
  std::vector<bool> mark(rank, dims.empty());
  for (int64_t d : dims)
    mark[static_cast<size_t>(d < 0 ? d + static_cast<int64_t>(rank) : d)] = true;
  return mark;
}

// f(list of the elements along dims) for each position of the other dimensions; all if none named.
template <class F>
Twin reduced(F f, const Index& dims = {}, bool keepdim = false) {
  return [f, dims, keepdim](const Arrays& x) {
    const std::vector<bool> mark = marked(dims, x[0].shape.size());
    Index kept = x[0].shape, shape;
    for (size_t d = 0; d < kept.size(); ++d) {
      if (mark[d]) kept[d] = 1;
      if (!mark[d] || keepdim) shape.push_back(kept[d]);
    }
    std::vector<std::vector<double>> lists(static_cast<size_t>(count(kept)));
    every(x[0].shape, [&](const Index& position) {
      size_t flat = 0;
      for (size_t d = 0; d < kept.size(); ++d) {
        flat = flat * static_cast<size_t>(kept[d]) + static_cast<size_t>(mark[d] ? 0 : position[d]);
      }
      lists[flat].push_back(x[0](position));
    });
    Array result{shape, {}};
    for (const auto& list : lists) result.values.push_back(static_cast<double>(f(list)));
    return result;
  };
}

// f(list) -> list of the same length, along one dimension of the first array.
template <class F>
Array along(F f, const Array& x, int64_t dim) {
  const auto d = static_cast<size_t>(dim < 0 ? dim + static_cast<int64_t>(x.shape.size()) : dim);
  Array result = x;
  Index starts = x.shape;
  if (starts[d] > 0) starts[d] = 1;
  every(starts, [&](Index position) {
    std::vector<double> list;
    for (position[d] = 0; position[d] < x.shape[d]; ++position[d]) list.push_back(x(position));
    list = f(list);
    for (position[d] = 0; position[d] < x.shape[d]; ++position[d])
      result(position) = list[static_cast<size_t>(position[d])];
  });
  return result;
}

template <class F>
Twin along(F f, int64_t dim) {
  return [f, dim](const Arrays& x) { return along(f, x[0], dim); };
}

// Products and sums over named dimensions: "ij,jk->ik".
inline Array einsum(const std::string& spec, const Arrays& x) {
  const std::string left = spec.substr(0, spec.find("->")),
                    right = spec.substr(spec.find("->") + 2);
  std::vector<std::string> names(1);
  for (char c : left) {
    if (c == ',')
      names.emplace_back();
    else
      names.back().push_back(c);
  }
  std::map<char, int64_t> sizes, position;
  std::string letters = right;
  for (size_t k = 0; k < names.size(); ++k) {
    for (size_t d = 0; d < names[k].size(); ++d) {
      sizes[names[k][d]] = x[k].shape[d];
      if (letters.find(names[k][d]) == std::string::npos) letters += names[k][d];
    }
  }
  const auto read = [&](const std::string& which, const std::map<char, int64_t>& from) {
    Index index;
    for (char c : which) index.push_back(from.at(c));
    return index;
  };
  const Index shape = read(right, sizes);
  Array result = make(shape, [](const Index&) { return 0; });
  every(read(letters, sizes), [&](const Index& all) {
    for (size_t i = 0; i < letters.size(); ++i) position[letters[i]] = all[i];
    double product = 1;
    for (size_t k = 0; k < names.size(); ++k) product *= x[k](read(names[k], position));
    result(read(right, position)) += product;
  });
  return result;
}

inline Twin einsum(const std::string& spec) {
  return [spec](const Arrays& x) { return einsum(spec, x); };
}

}  // namespace twin

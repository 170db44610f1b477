// einsum: every letter names a dimension; letters missing from the result are summed over. Operands
// are contracted from left to right, each contraction one batched matrix product.
#include <algorithm>
#include <string>

#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

struct Named {
  Tensor x;
  std::string letters;  // one for each dimension
};

bool has(const std::string& letters, char letter) {
  return letters.find(letter) != std::string::npos;
}

// The diagonal of dimensions i and j > i, as dimension i: a view.
Tensor diagonal(const Tensor& x, int64_t i, int64_t j) {
  Shape shape, strides;
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (d == j) continue;
    shape.push_back(x.shape()[d]);
    strides.push_back(x.strides()[d]);
  }
  if (shape[i] > 1) strides[i] += x.strides()[j];
  return record("diagonal", view_of(x, shape, strides, x.body().offset),
                {{x, [before = x.shape(), i, j](const Tensor& g) {
                    Tensor on_diagonal = zeros(before, {.dtype = g.dtype(), .device = g.device()});
                    diagonal(on_diagonal, i, j).copy_(g);
                    return record("embed", std::move(on_diagonal),
                                  {{g, [i, j](const Tensor& h) { return diagonal(h, i, j); }}});
                  }}});
}

// "ii" takes the diagonal.
Named take_diagonals(Named a) {
  for (size_t i = 0; i < a.letters.size(); ++i) {
    for (size_t j = a.letters.size() - 1; j > i; --j) {
      if (a.letters[i] != a.letters[j]) continue;
      const int64_t n = a.x.shape()[static_cast<int64_t>(i)];
      check(n == a.x.shape()[static_cast<int64_t>(j)], "einsum: '{}' is both {} and {} in shape {}",
            a.letters[i], n, a.x.shape()[static_cast<int64_t>(j)], called(a.x));
      a.x = diagonal(a.x, static_cast<int64_t>(i), static_cast<int64_t>(j));
      a.letters.erase(j, 1);
    }
  }
  return a;
}

// Sums over the letters that occur neither in other operands nor in the result.
Named sum_out_unused(Named a, const std::string& wanted) {
  for (size_t i = a.letters.size(); i-- > 0;) {
    if (has(wanted, a.letters[i])) continue;
    a.x = sum(a.x, static_cast<int64_t>(i));
    a.letters.erase(i, 1);
  }
  return a;
}

Tensor ordered(const Named& a, const std::string& letters) {
  Dims order;
  for (char letter : letters) order.push_back(static_cast<int64_t>(a.letters.find(letter)));
  return permute(a.x, order);
}

int64_t size_of(const Named& a, char letter) {
  return a.x.shape()[static_cast<int64_t>(a.letters.find(letter))];
}

// One batched product: of the letters that both have, those in the result or in later operands are
// the batch; the others are summed over.
Named contract(const Named& a, const Named& b, const std::string& wanted) {
  std::string batch, summed, left, right;
  for (char letter : a.letters) {
    (!has(b.letters, letter) ? left : has(wanted, letter) ? batch : summed) += letter;
  }
  for (char letter : b.letters) {
    if (!has(a.letters, letter)) right += letter;
  }
  int64_t sizes[4] = {1, 1, 1, 1};
  Shape shape;
  const std::string result = batch + left + right;
  const auto measure = [&](const std::string& letters, const Named& from, int64_t& size, bool out) {
    for (char letter : letters) {
      size = checked_mul(size, size_of(from, letter));
      if (out) shape.push_back(size_of(from, letter));
    }
  };
  measure(batch, a, sizes[0], true);
  measure(left, a, sizes[1], true);
  measure(right, b, sizes[3], true);
  measure(summed, a, sizes[2], false);
  const Tensor x = reshape(ordered(a, batch + left + summed), {sizes[0], sizes[1], sizes[2]});
  const Tensor y = reshape(ordered(b, batch + summed + right), {sizes[0], sizes[2], sizes[3]});
  return {reshape(bmm(x, y), shape), result};
}

struct Spec {
  std::vector<std::string> inputs;
  std::string output;
};

// The spec without spaces, and with `dots` for "...".
constexpr char dots = '.';
std::string letters_of(std::string_view spec) {
  std::string text;
  for (size_t i = 0; i < spec.size(); ++i) {
    const char c = spec[i];
    if (c == ' ') continue;
    const bool is_dots = spec.substr(i, 3) == "...";
    check(is_dots || c == ',' || c == '-' || c == '>' || (c >= 'a' && c <= 'z') ||
              (c >= 'A' && c <= 'Z'),
          "einsum: '{}' in \"{}\" is not a letter; write a spec like \"bij,bjk->bik\"", c, spec);
    text += c;
    if (is_dots) i += 2;
  }
  return text;
}

Spec parse(std::string_view spec, const std::vector<Tensor>& operands) {
  const std::string text = letters_of(spec);
  const size_t arrow = text.find("->");
  Spec result;
  std::string left = text.substr(0, arrow);
  check(left.find_first_of("->") == std::string::npos, "einsum: \"{}\" has a stray arrow", spec);
  for (size_t start = 0; start <= left.size();) {
    const size_t comma = std::min(left.find(',', start), left.size());
    result.inputs.push_back(left.substr(start, comma - start));
    start = comma + 1;
  }
  if (arrow != std::string::npos) {
    result.output = text.substr(arrow + 2);
  } else {  // what "..." stands for, and the letters that occur once, in alphabetical order
    if (has(left, dots)) result.output += dots;
    std::sort(left.begin(), left.end());
    for (char letter : left) {
      if (letter != ',' && letter != dots && std::count(left.begin(), left.end(), letter) == 1) {
        result.output += letter;
      }
    }
  }
  check(result.inputs.size() == operands.size(), "einsum: \"{}\" names {} operands, {} were given",
        spec, result.inputs.size(), operands.size());
  return result;
}

// Letters that the spec does not use.
std::string unused_letters(const Spec& parsed, size_t count) {
  std::string all = parsed.output, unused;
  for (const std::string& input : parsed.inputs) all += input;
  for (const char first : {'a', 'A'}) {
    for (int i = 0; i < 26 && unused.size() < count; ++i) {
      const char letter = static_cast<char>(first + i);
      if (!has(all, letter)) unused += letter;
    }
  }
  check(unused.size() == count, "einsum: too many letters");
  return unused;
}

// How many dimensions "..." stands for in each operand.
std::vector<size_t> dotted_ranks(std::string_view spec, const Spec& parsed,
                                 const std::vector<Tensor>& operands) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < operands.size(); ++i) {
    const std::string& letters = parsed.inputs[i];
    const size_t dimensions = operands[i].shape().size();
    check(std::count(letters.begin(), letters.end(), dots) <= 1,
          "einsum: an operand of \"{}\" has \"...\" twice", spec);
    check(!has(letters, dots) || dimensions + 1 >= letters.size(),
          "einsum: \"{}\" gives operand {} more letters than its shape {} has dimensions", spec, i,
          operands[i].shape());
    ranks.push_back(has(letters, dots) ? dimensions + 1 - letters.size() : 0);
  }
  return ranks;
}

// Writes letters for "...", aligned at the right. A size of 1 beside a greater one is dropped from
// its operand, which so is the same all along that dimension.
void name_dotted(std::string_view spec, Spec& parsed, std::vector<Tensor>& operands) {
  const std::vector<size_t> ranks = dotted_ranks(spec, parsed, operands);
  const size_t most = *std::max_element(ranks.begin(), ranks.end());
  const std::string names = unused_letters(parsed, most);
  const auto write = [&](std::string& letters, size_t rank) {
    const size_t at = letters.find(dots);
    if (at != std::string::npos) letters.replace(at, 1, names.substr(most - rank));
    check(!has(letters, dots), "einsum: the result of \"{}\" has \"...\" twice", spec);
  };
  for (size_t i = 0; i < operands.size(); ++i) write(parsed.inputs[i], ranks[i]);
  write(parsed.output, most);
  for (const char name : names) {
    int64_t greatest = 1;
    const auto size_in = [&](size_t i) {
      const size_t at = parsed.inputs[i].find(name);
      return at == std::string::npos ? int64_t{1} : operands[i].shape()[static_cast<int64_t>(at)];
    };
    for (size_t i = 0; i < operands.size(); ++i) {
      greatest = size_in(i) == 1 ? greatest : size_in(i);
    }
    for (size_t i = 0; i < operands.size() && greatest != 1; ++i) {
      const size_t at = parsed.inputs[i].find(name);
      if (at == std::string::npos || size_in(i) != 1) continue;
      operands[i] = squeeze(operands[i], static_cast<int64_t>(at));
      parsed.inputs[i].erase(at, 1);
    }
  }
}

void check_sizes(std::string_view spec, const Spec& parsed, const std::vector<Tensor>& operands) {
  int64_t sizes[256];
  std::fill(std::begin(sizes), std::end(sizes), -1);
  for (size_t i = 0; i < operands.size(); ++i) {
    const std::string& letters = parsed.inputs[i];
    check(static_cast<int64_t>(letters.size()) == operands[i].rank(),
          "einsum: \"{}\" gives operand {} the letters '{}', but its shape is {}", spec, i, letters,
          called(operands[i]));
    check_same_dtype("einsum", operands[0], operands[i]);
    for (size_t d = 0; d < letters.size(); ++d) {
      int64_t& size = sizes[static_cast<unsigned char>(letters[d])];
      const int64_t here = operands[i].shape()[static_cast<int64_t>(d)];
      check(size == -1 || size == here, "einsum: '{}' is {} in one operand and {} in shape {}",
            letters[d], size, here, called(operands[i]));
      size = here;
    }
  }
  for (size_t i = 0; i < parsed.output.size(); ++i) {
    check(sizes[static_cast<unsigned char>(parsed.output[i])] >= 0 &&
              parsed.output.find(parsed.output[i], i + 1) == std::string::npos,
          "einsum: '{}' of the result must stand once, and in an operand of \"{}\"",
          parsed.output[i], spec);
  }
}

}  // namespace

Tensor einsum(std::string_view spec, const std::vector<Tensor>& given) {
  check(!given.empty(), "einsum: needs at least one operand");
  std::vector<Tensor> operands = given;
  Spec parsed = parse(spec, operands);
  if (has(letters_of(spec), dots)) name_dotted(spec, parsed, operands);
  check_sizes(spec, parsed, operands);
  Named result{operands[0], parsed.inputs[0]};
  result = take_diagonals(std::move(result));
  for (size_t i = 1; i < operands.size(); ++i) {
    std::string later = parsed.output;
    for (size_t j = i + 1; j < operands.size(); ++j) later += parsed.inputs[j];
    Named next = take_diagonals({operands[i], parsed.inputs[i]});
    result = sum_out_unused(std::move(result), later + next.letters);
    next = sum_out_unused(std::move(next), later + result.letters);
    result = contract(result, next, later);
  }
  result = sum_out_unused(std::move(result), parsed.output);
  return ordered(result, parsed.output);
}

}  // namespace regrad

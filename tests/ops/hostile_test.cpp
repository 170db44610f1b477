// Every op that takes whole numbers, with the largest and the smallest of them: a result, or an
// Error; never a wrapped size (the sanitizers watch this, too).
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

constexpr int64_t lowest = INT64_MIN, highest = INT64_MAX;
const int64_t extremes[] = {lowest, lowest + 1, -highest / 2, -5,          -2,     -1, 0, 1, 2, 3,
                            5,      7,          highest / 2,  highest - 5, highest};

// Sizes are sound: none below 0, and as many numbers as they say.
void check_sound(const Tensor& x) {
  for (const int64_t size : x.shape()) CHECK(size >= 0);
  CHECK(x.numel() < 10'000);
  const std::vector<double> values = x.to_vector<double>();  // a GPU says here what went wrong
  CHECK(values.size() == static_cast<size_t>(x.numel()));
}

template <class Call>
void attempt(const Call& call) {
  try {
    if constexpr (std::is_same_v<decltype(call()), Tensor>) {
      check_sound(call());
    } else if constexpr (std::is_same_v<decltype(call()), std::vector<Tensor>>) {
      for (const Tensor& part : call()) check_sound(part);
    } else {
      call();
    }
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() > 0);
  }
}

TEST_CASE("one extreme number") {
  const Tensor x = zeros({2, 3}), i = zeros({2, 3}, {.dtype = int64});
  const Tensor b = zeros({2, 3}, {.dtype = bool_});
  Generator generator(1);
  for (const int64_t a : extremes) {
    attempt([&] { return x.size(a); });
    attempt([&] { return a < 10 ? arange(a) : Tensor(zeros({0})); });
    attempt([&] { return a < 10 ? eye(a) : Tensor(zeros({0})); });
    attempt([&] { return a < 10 ? randperm(a, generator) : Tensor(zeros({0})); });
    attempt([&] { return a < 10 ? linspace(0, 1, a) : Tensor(zeros({0})); });
    attempt([&] { return a < 10 ? length_mask(tensor({1}, {1}), a) : Tensor(zeros({0})); });
    attempt([&] { return a < 10 ? one_hot(tensor({0}, {1}), a) : Tensor(zeros({0})); });
    if (a >= highest / 2) {
      CHECK_ERROR(arange(a), "too large");
      CHECK_ERROR(eye(a), "too large");
      CHECK_ERROR(linspace(0, 1, a), "too large");
      CHECK_ERROR(zeros({a, 3}), "too large");
      CHECK_ERROR(length_mask(tensor({1}, {1}), a), "too large");
      CHECK_ERROR(empty({0, a, 3}), "too large");
    }
    attempt([&] { return sum(x, a); });
    attempt([&] { return mean(x, a); });
    attempt([&] { return max(x, {a, 0}); });
    attempt([&] { return argmax(x, a); });
    attempt([&] { return softmax(x, a); });
    attempt([&] { return transpose(x, a, 0); });
    attempt([&] { return permute(x, {a, 0}); });
    attempt([&] { return squeeze(x, a); });
    attempt([&] { return unsqueeze(x, a); });
    attempt([&] { return flatten(x, a); });
    attempt([&] { return flatten(x, 0, a); });
    attempt([&] { return flip(x, a); });
    attempt([&] { return select(x, a, 0); });
    attempt([&] { return select(x, 1, a); });
    attempt([&] { return split(x, a, 1); });
    attempt([&] { return split(x, std::vector<int64_t>{a, 1}, 1); });
    attempt([&] { return split(x, std::vector<int64_t>{1, a}, 1); });
    attempt([&] { return stack({x, x}, a); });
    attempt([&] { return concat({x, x}, a); });
    attempt([&] { return reshape(x, {a, 3}); });
    attempt([&] { return reshape(x, {a, -1}); });
    attempt([&] { return a < 10 ? expand(x, {a, 2, 3}) : Tensor(zeros({0})); });
    attempt([&] { return expand(x, {2, a}); });
    attempt([&] { return a < 10 ? pad(x, {a, 0}) : Tensor(zeros({0})); });
    if (a >= highest - 5) {
      CHECK_ERROR(pad(x, {a, a}), "too large");
      CHECK_ERROR(pad(x, {a, 0, a, 0}), "too large");
    }
    attempt([&] { return tril(x, a); });
    attempt([&] { return triu(x, a); });
    attempt([&] { return embedding(x, tensor({0, 1}, {2}), a); });
    attempt([&] { return embedding(x, tensor({a}, {1})); });
    attempt([&] { return gather(x, a, i); });
    attempt([&] { return gather(x, 0, i + a); });
    attempt([&] { return index_select(x, a, tensor({0}, {1})); });
    attempt([&] { return index_select(x, 0, tensor({a}, {1})); });
    attempt([&] { return scatter_add(x, a, i, x); });
    attempt([&] { return one_hot(tensor({a}, {1}), 3); });
    attempt([&] { return length_mask(tensor({a}, {1}), 3); });
    attempt([&] { return cross_entropy(x, tensor({a, a}, {2})); });
    attempt([&] { return cross_entropy(x, tensor({a, a}, {2}), {.ignore_index = a}); });
    attempt([&] { return nll_loss(x, tensor({int64_t{0}, a}, {2}), {.ignore_index = a}); });
    attempt([&] { return a < 10 ? multinomial(ones({3}), a, generator, true) : Tensor(x); });
    attempt([&] { return masked_fill(i, b, a); });
    attempt([&] { return neg(i + a); });
    attempt([&] { return abs(i + a); });
    attempt([&] { return square(i + a); });
    attempt([&] { return clamp(i, a, 0); });
    attempt([&] { return pow(i + a, 3); });
    attempt([&] { return a < 100 ? pow(i + 3, a) : Tensor(pow(i + 1, a)); });
    attempt([&] { return sum((i + a).to(int64)); });
    attempt([&] { return i + a < static_cast<double>(a); });
  }
}

TEST_CASE("two and three extreme numbers") {
  const Tensor x = zeros({2, 3}), row = arange(7);
  Generator generator(1);
  for (const int64_t a : extremes) {
    for (const int64_t b : extremes) {
      attempt([&] { return narrow(x, 1, a, b); });
      attempt([&] { return randint(a, b, {3}, generator); });
      attempt([&] { return x.to(int64) * a + b; });
      const double apart = std::abs(static_cast<double>(a) - static_cast<double>(b));
      for (const int64_t step : extremes) {
        if (step > 0) {
          const Tensor part = slice(row, 0, a, b, step);
          const int64_t from = std::clamp<int64_t>(a < 0 ? std::max(a, int64_t{-7}) + 7 : a, 0, 7);
          const int64_t to = std::clamp<int64_t>(b < 0 ? std::max(b, int64_t{-7}) + 7 : b, 0, 7);
          std::vector<int64_t> wanted;
          for (int64_t index = from; index < to; index += std::min<int64_t>(step, 7))
            wanted.push_back(index);
          CHECK(part.to_vector<int64_t>() == wanted);
          check_sound(slice(unsqueeze(part, 0), 1, a, b, step));
        } else {
          CHECK_ERROR(slice(row, 0, a, b, step), "slice: ");
        }
        if (step != 0 && apart / std::abs(static_cast<double>(step)) < 1000) {
          attempt([&] { return arange(a, b, step); });
        }
      }
    }
  }
}

TEST_CASE("steps of recurrent layers with no rows and huge states") {
  for (const int64_t size : {highest / 400, highest / 300, highest / 64, highest / 5, highest}) {
    for (const int64_t gates : {1, 3, 4}) {
      if (size > highest / 64 / gates) continue;
      const Tensor all = zeros({0, gates * size}), state = zeros({0, size});
      attempt([&] { return gru_step(all, all, state); });
      attempt([&] { return lstm_step(all, state); });
      attempt([&] {
        return gru_sequence(zeros({2, 0, 0}), state,
                            {zeros({gates * size, 0}), zeros({gates * size, 0}), {}, {}});
      });
    }
    attempt([&] { return additive_scores(zeros({0, size}), zeros({0, size}), zeros({0})); });
    attempt([&] {
      return scaled_dot_product_attention(zeros({0, size}), zeros({0, size}), zeros({0, size}));
    });
    attempt([&] { return linear(zeros({0, size}), zeros({0, size})); });
    attempt([&] { return einsum("ij,kj->ik", {zeros({0, size}), zeros({0, size})}); });
    attempt([&] { return einsum("ii->i", {zeros({0, 0, size}).reshape({0, 0})}); });
    attempt([&] { return layer_norm(zeros({0, size})); });
    attempt([&] { return softmax(zeros({0, size}), 1); });
  }
}

TEST_CASE("diagonals at the ends") {
  const Tensor x = ones({2, 3});
  CHECK(sum(tril(x, highest)).item<float>() == 6);
  CHECK(sum(tril(x, lowest)).item<float>() == 0);
  CHECK(sum(triu(x, lowest)).item<float>() == 6);
  CHECK(sum(triu(x, lowest + 1)).item<float>() == 6);
  CHECK(sum(triu(x, highest)).item<float>() == 0);
}

TEST_CASE("empty tensors with large dimensions") {
  constexpr int64_t large = highest / 64;  // the most that a tensor may have
  const Tensor x = zeros({0, large});
  check_sound(slice(x, 1, 0, large, 2));
  check_sound(unsqueeze(slice(x, 1, 0, large, 2), 1));
  check_sound(unsqueeze(slice(x, 1, 5, large, large / 2), 2));
  check_sound(transpose(x));
  check_sound(flip(transpose(x), {0, 1}));
  check_sound(x + 1);
  check_sound(transpose(x) * transpose(x));
  check_sound(x < 3);
  check_sound(split(x, large / 2 + 1, 1)[1]);
  CHECK(split(zeros({0, 2}), 3).size() == 1);
  CHECK(split(zeros({0, 2}), 3)[0].shape() == Shape{0, 2});
  CHECK(split(zeros({2, 0}), large, 1)[0].shape() == Shape{2, 0});
  CHECK_ERROR(x.reshape({-1}).size(3), "size: ");
  CHECK_ERROR(scalar(1).size(0), "size: a single element has no dimension 0");
  CHECK_ERROR(flip(ones({2}), {0, -1}), "flip: dimension -1 is named twice");
  CHECK_ERROR(concat({x, x}, 1), "too large");
  CHECK_ERROR(zeros({0, large + 1}), "too large");
  CHECK_ERROR(zeros({0, highest}), "too large");
  CHECK_ERROR(zeros({0, large, 2}), "too large");
  CHECK_ERROR(zeros({large, large, 0}), "too large");
  CHECK_ERROR(zeros({0}).reshape({large, large, 0}), "too large");
  CHECK_ERROR(expand(zeros({1, 1, 0}), {large, large, 0}), "too large");
  check_sound(matmul(zeros({0, large}), zeros({large, 0})));
  check_sound(sum(x, 1));
}

TEST_SUITE_END();

}  // namespace

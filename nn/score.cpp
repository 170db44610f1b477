#include "nn/score.h"

#include <cmath>
#include <limits>

#include "autograd/check.h"
#include "autograd/names.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

void check_pair(const char* score, const Tensor& query, const Tensor& key) {
  check(query.rank() == key.rank() && query.rank() >= 2,
        "{}: takes queries [.., m, size] and keys [.., n, size], not {} and {}", score,
        shape_text(query), shape_text(key));
}

Tensor products(const char* score, const Tensor& query, const Tensor& key) {
  check_pair(score, query, key);
  check(query.size(-1) == key.size(-1),
        "{}: queries {} and keys {} must have the same last size; GeneralScore and AdditiveScore "
        "take different ones",
        score, shape_text(query), shape_text(key));
  return matmul(query, transpose(key));
}

// The rows of x / max(|x|, eps). They are first divided by their greatest element: the square of
// 1e20 is infinite in float32.
Tensor unit_rows(const Tensor& x, double eps) {
  if (x.size(-1) == 0) return x;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Tensor greatest = clamp(max(abs(detached(x)), -1, true), eps, infinity);
  const Tensor scaled = x / greatest;
  return scaled * rsqrt(maximum(sum(square(scaled), -1, true), square(eps / greatest)));
}

}  // namespace

Tensor DotScore::scores(const Tensor& query, const Tensor& prepared) const {
  return products("DotScore", query, prepared);
}

Tensor ScaledDotScore::scores(const Tensor& query, const Tensor& prepared) const {
  return products("ScaledDotScore", query * (1 / std::sqrt(static_cast<double>(query.size(-1)))),
                  prepared);
}

GeneralScore::GeneralScore(int64_t hidden_size, int64_t key_size, Generator& generator)
    : linear(key_size > 0 ? key_size : hidden_size, hidden_size, {.bias = false}, generator) {}

Tensor GeneralScore::prepare(const Tensor& key) const { return linear(key); }

Tensor GeneralScore::scores(const Tensor& query, const Tensor& prepared) const {
  return products("GeneralScore", query, prepared);
}

AdditiveScore::AdditiveScore(int64_t hidden_size, int64_t key_size, int64_t attention_size,
                             Generator& generator)
    : query(hidden_size, attention_size > 0 ? attention_size : hidden_size, {}, generator),
      key(key_size > 0 ? key_size : hidden_size, query.weight.size(0), {.bias = false}, generator),
      energy(query.weight.size(0), 1, {.bias = false}, generator) {}

Tensor AdditiveScore::prepare(const Tensor& k) const { return key(k); }

Tensor AdditiveScore::scores(const Tensor& q, const Tensor& prepared) const {
  check_pair("AdditiveScore", q, prepared);
  return additive_scores(query(q), prepared, squeeze(energy.weight, 0));
}

LocationScore::LocationScore(int64_t hidden_size, int64_t max_length, Generator& generator)
    : linear(hidden_size, max_length, {}, generator) {}

Tensor LocationScore::scores(const Tensor& query, const Tensor& prepared) const {
  check_pair("LocationScore", query, prepared);
  const int64_t max_length = linear.weight.size(0), length = prepared.size(-2);
  check(length <= max_length, "LocationScore: there are {} keys, and it was made for {} at most",
        length, max_length);
  return narrow(linear(query), -1, 0, length);
}

Tensor DistanceScore::scores(const Tensor& query, const Tensor& prepared) const {
  check_pair("DistanceScore", query, prepared);
  return -squared_distance(query, prepared);
}

Tensor CosineScore::prepare(const Tensor& key) const { return unit_rows(key, eps); }

Tensor CosineScore::scores(const Tensor& query, const Tensor& prepared) const {
  return products("CosineScore", unit_rows(query, eps), prepared);
}

ScoreFunction make_score(const std::string& name, ScoreSizes sizes, Generator& generator) {
  if (name == "dot") return DotScore();
  if (name == "scaled_dot") return ScaledDotScore();
  if (name == "general") return GeneralScore(sizes.hidden, 0, generator);
  if (name == "additive") return AdditiveScore(sizes.hidden, 0, 0, generator);
  if (name == "distance") return DistanceScore();
  if (name == "cosine") return CosineScore();
  check(name == "location",
        "make_score: there is no score function \"{}\"; there are dot, scaled_dot, general, "
        "additive, location, distance, cosine",
        name);
  check(sizes.max_length > 0, "make_score: \"location\" needs a max_length above 0, not {}",
        sizes.max_length);
  return LocationScore(sizes.hidden, sizes.max_length, generator);
}

}  // namespace regrad::nn

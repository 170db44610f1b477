// Score functions f(query, key): how well each key fits each query. All are called in the same way,
//   query [B, Tq, H], key [B, Tk, K] -> scores [B, Tq, Tk],
// and in two steps where the same keys are scored again and again: prepare(key) does what does not
// depend on the query, and scores(query, prepared) the rest. An Error where the sizes do not fit.
#pragma once

#include <string>
#include <variant>

#include "nn/layers.h"
#include "ops/ops.h"

namespace regrad::nn {

// q · k   (Luong et al., 2015, "dot")
struct DotScore {
  Tensor prepare(const Tensor& key) const { return key; }  // the keys themselves
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, H].
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& query, const Tensor& key) const { return scores(query, key); }
  void visit(auto&&) {}
};

// q · k / sqrt(H)   (Vaswani et al., 2017)
struct ScaledDotScore {
  Tensor prepare(const Tensor& key) const { return key; }  // the keys themselves
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, H].
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& query, const Tensor& key) const { return scores(query, key); }
  void visit(auto&&) {}
};

// qᵀ W k   (Luong et al., 2015, "general")
struct GeneralScore {
  Linear linear;  // weight [H, K], no bias

  explicit GeneralScore(int64_t hidden_size, int64_t key_size = 0,  // 0: hidden_size
                        Generator& generator = default_generator());
  Tensor prepare(const Tensor& key) const;  // W k
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, H].
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& q, const Tensor& k) const { return scores(q, prepare(k)); }
  void visit(auto&& each) { each("linear", linear); }
};

// vᵀ tanh(W q + b + U k)   (Bahdanau et al., 2015)
struct AdditiveScore {
  Linear query;   // W [A, H] and b
  Linear key;     // U [A, K]
  Linear energy;  // vᵀ [1, A]

  explicit AdditiveScore(int64_t hidden_size, int64_t key_size = 0, int64_t attention_size = 0,
                         Generator& generator = default_generator());  // 0: hidden_size
  Tensor prepare(const Tensor& k) const;                               // U k
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, A].
  Tensor scores(const Tensor& q, const Tensor& prepared) const;
  Tensor operator()(const Tensor& q, const Tensor& k) const { return scores(q, prepare(k)); }
  void visit(auto&& each) {
    each("query", query);
    each("key", key);
    each("energy", energy);
  }
};

// W q + b: one score for each position, from the query alone (Luong et al., 2015, "location"). The
// keys give nothing but their number, which must not be above max_length.
struct LocationScore {
  Linear linear;  // [max_length, H] and a bias

  // Scores at most max_length keys.
  LocationScore(int64_t hidden_size, int64_t max_length,
                Generator& generator = default_generator());
  Tensor prepare(const Tensor& key) const { return key; }  // the keys themselves
  // [.., m, n] for n keys; an Error for more than max_length.
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& query, const Tensor& key) const { return scores(query, key); }
  void visit(auto&& each) { each("linear", linear); }
};

// -|q - k|²: the nearer, the higher
struct DistanceScore {
  Tensor prepare(const Tensor& key) const { return key; }  // the keys themselves
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, H].
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& query, const Tensor& key) const { return scores(query, key); }
  void visit(auto&&) {}
};

// q · k / (|q| |k|), in [-1, 1]; a length below eps counts as eps
struct CosineScore {
  double eps = 1e-8;

  Tensor prepare(const Tensor& key) const;  // k / |k|
  // [.., m, n] of queries [.., m, H] and prepared keys [.., n, H].
  Tensor scores(const Tensor& query, const Tensor& prepared) const;
  Tensor operator()(const Tensor& q, const Tensor& k) const { return scores(q, prepare(k)); }
  void visit(auto&&) {}
};

// Any of them, chosen at run time: "dot", "scaled_dot", "general", "additive", "location",
// "distance" or "cosine".
using ScoreFunction = std::variant<DotScore, ScaledDotScore, GeneralScore, AdditiveScore,
                                   LocationScore, DistanceScore, CosineScore>;
struct ScoreSizes {
  int64_t hidden = 0;      // of queries and of keys
  int64_t max_length = 0;  // for LocationScore alone
};
// The one of that name, with its first values drawn. An Error for a name that is none of these.
ScoreFunction make_score(const std::string& name, ScoreSizes sizes,
                         Generator& generator = default_generator());

using regrad::squared_distance;

}  // namespace regrad::nn

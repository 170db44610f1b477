// Additive attention's scores (Bahdanau et al., "Neural machine translation by jointly learning to
// align and translate", 2015):  s_ij = Σ_h v_h t_ijh,  t_ijh = tanh(q_ih + k_jh).
//   With u_ijh = g_ij v_h (1 - t_ijh²):  dq_i = Σ_j u_ij,  dk_j = Σ_i u_ij,  dv = Σ_ij g_ij t_ij
// The kernels store no t, neither forward nor backward; composed_scores, for second derivatives,
// does store [.., queries, keys, size] numbers.
#include "ops/dispatch.h"
#include "ops/ops.h"

namespace regrad {
namespace {

Tensor composed_scores(const std::vector<Tensor>& in) {
  return matmul(tanh(add(unsqueeze(in[0], -2), unsqueeze(in[1], -3))), in[2]);
}

template <class T>
Additive<T> describe(const Tensor& query, const Tensor& key, const Tensor& v) {
  Additive<T> a;
  a.batch = query.size(0), a.queries = query.size(1), a.keys = key.size(1), a.size = query.size(2);
  a.q = raw<T>(query), a.k = raw<T>(key), a.v = raw<T>(v);
  return a;
}

std::vector<Tensor> backward(const Tensor& g, const Tensor& query, const Tensor& key,
                             const Tensor& v) {
  const Tensor q = kernel_input(query), k = kernel_input(key);
  const Tensor weights = kernel_input(v), from = kernel_input(g);
  std::vector<Tensor> all = {empty(q.shape(), g.dtype(), g.device()),
                             empty(k.shape(), g.dtype(), g.device()),
                             empty(v.shape(), g.dtype(), g.device())};
  for_floats("additive_scores", g, [&]<class T>() {
    const AdditiveGradients<T> to{raw<T>(from), raw<T>(all[0]), raw<T>(all[1]), raw<T>(all[2])};
    kernels<T>(g).additive.scores_backward(describe<T>(q, k, weights), to);
  });
  return all;
}

// query [b, m, h], key [b, n, h]
Tensor scores(const Tensor& query, const Tensor& key, const Tensor& v) {
  Tensor out = empty({query.size(0), query.size(1), key.size(1)}, query.dtype(), query.device());
  const Tensor q = kernel_input(query), k = kernel_input(key), weights = kernel_input(v);
  for_floats("additive_scores", query, [&]<class T>() {
    kernels<T>(query).additive.scores(describe<T>(q, k, weights), raw<T>(out));
  });
  return record_fused(
      "additive_scores", std::move(out), {query, key, v}, composed_scores,
      [query, key, v](const Tensor& g, Needed) { return backward(g, query, key, v); });
}

// x [.., rows, h] as [b, rows, h], where `batch` is what the dimensions before rows broadcast to.
Tensor as_batch(const Tensor& x, Shape batch) {
  if (x.rank() == 3 && x.size(0) == batch.numel()) return x;
  const int64_t count = batch.numel(), rows = x.size(-2), size = x.size(-1);
  batch.push_back(rows), batch.push_back(size);
  return reshape(expand(x, batch), {count, rows, size});
}

}  // namespace

Tensor additive_scores(const Tensor& query, const Tensor& key, const Tensor& v) {
  check(query.rank() >= 2 && key.rank() >= 2 && v.rank() == 1 && query.size(-1) == v.size(0) &&
            key.size(-1) == v.size(0),
        "additive_scores: takes queries [.., m, h], keys [.., n, h] and v [h], not {}, {} and {}",
        called(query), called(key), called(v));
  check_same_dtype("additive_scores", query, key);
  check_same_dtype("additive_scores", query, v);
  const auto batch_of = [](const Tensor& x) {
    return Shape(x.shape().begin(), x.shape().size() - 2);
  };
  Shape batch = broadcast_shapes("additive_scores", batch_of(query), batch_of(key));
  const Tensor all = scores(as_batch(query, batch), as_batch(key, batch), v);
  if (batch.rank() == 1) return all;
  batch.push_back(query.size(-2)), batch.push_back(key.size(-2));
  return reshape(all, batch);
}

}  // namespace regrad

// Fused attention, backward. With P = softmax(S), S = scale Q Kᵀ + bias, output O = P V, and its
// gradient G:
//   dV = Pᵀ G,  dP = G Vᵀ,  dS = P (dP - delta),  delta_i = sum_e G_ie O_ie,
//   dQ = scale dS K,  dK = scale dSᵀ Q,  dbias = dS.
// P is recomputed from the softmax statistics that the forward pass saved (Dao: FlashAttention-2,
// 2023). The outer loop is over blocks of keys, so that a block's dK and dV stay in the cache
// during the inner loop over queries; dQ is accumulated in memory.
#pragma once

#include "ops/cpu/attention_forward.h"

namespace regrad::simd {

template <class T>
struct BackwardWorkspace {
  T *q, *g, *dq, *shift, *factor, *delta;  // for all queries; P = factor exp(S - shift)
  T *keys, *values, *key_rows, *dk, *dv;   // for a block of keys
  T *probs, *dscores;                      // P and dS of a block of queries and a block of keys

  template <class Arch>
  BackwardWorkspace(Arena& arena, const AttentionPlan<T, Arch>& plan, int64_t queries) {
    const int64_t rows = queries + plan.tile, key_rows_padded = plan.key_block + plan.tile;
    q = arena.allocate<T>(rows * plan.query_stride);
    g = arena.allocate<T>(rows * plan.width_stride);
    dq = arena.allocate<T>(rows * plan.query_stride);
    shift = arena.allocate<T>(rows);
    factor = arena.allocate<T>(rows);
    delta = arena.allocate<T>(rows);
    const int64_t columns = plan.key_block + plan.panel;
    keys = arena.allocate<T>(columns * plan.depth_panels * plan.panel);
    values = arena.allocate<T>(columns * plan.width_panels * plan.panel);
    key_rows = arena.allocate<T>(plan.key_block * plan.depth_panels * plan.panel);
    dk = arena.allocate<T>(key_rows_padded * plan.query_stride);
    dv = arena.allocate<T>(key_rows_padded * plan.width_stride);
    probs = arena.allocate<T>(plan.query_block * plan.key_stride);
    dscores = arena.allocate<T>(plan.query_block * plan.key_stride);
  }
};

template <class T>
struct BackwardHead : ForwardHead<T> {
  const T* g;
  T *dq, *dk, *dv, *dbias;
  REGRAD_INLINE BackwardHead(const AttentionCall<T>& call, int64_t i)
      : ForwardHead<T>(call, i),
        g(batch_entry(call, call.g, i)),
        dq(batch_entry(call, call.dq, i)),
        dk(batch_entry(call, call.dk, i)),
        dv(batch_entry(call, call.dv, i)),
        dbias(batch_entry(call, call.dbias, i)) {}
  REGRAD_INLINE bool needs_dscores() const { return dq || dk || dbias; }
};

// delta_i = sum_e G_ie O_ie, summed in the same order as dP in a tile: then dS = P (dP - delta) is
// exactly 0 for a query with a single key. A row is thus one chain of additions; four rows are
// computed together to hide its latency.
template <class T, class Arch>
void compute_delta(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                   const BackwardHead<T>& head, const BackwardWorkspace<T>& workspace) {
  using V = Vec<T, Arch>;
  constexpr int block_rows = 4;
  const StridedRows<T> out{head.out, call.out.row, call.queries, call.width};
  for (int64_t i = 0; i < call.queries; i += block_rows) {
    const T* out_row[block_rows];
    for (int r = 0; r < block_rows; ++r) out_row[r] = out[min(i + r, call.queries - 1)];
    const T* const g = workspace.g + i * plan.width_stride;
    V delta[block_rows] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    for (int64_t j = 0; j < call.width; ++j) {
#pragma GCC unroll 4
      for (int r = 0; r < block_rows; ++r) {
        delta[r] = multiply_add(V(g[r * plan.width_stride + j]), V(out_row[r][j]), delta[r]);
      }
    }
    for (int r = 0; r < block_rows; ++r) {
      alignas(64) T lanes[V::size];
      delta[r].store_unaligned(lanes);
      workspace.delta[i + r] = lanes[0];
    }
  }
}

// Whether each operand may be multiplied by a weight of 0: all its numbers are finite, or no key is
// masked.
struct FiniteOperands {
  bool q, g, k;
};

// Copies Q and G into the workspace, with the statistics of each row, and clears dQ. Padding rows
// get a factor of 0, so that their P is 0.
template <class T, class Arch>
FiniteOperands start_queries(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                             const BackwardHead<T>& head, const BackwardWorkspace<T>& workspace,
                             T* dq) {
  const bool q_finite = copy_rows<T, Arch>({head.q, call.q.row, call.queries, call.depth},
                                           workspace.q, plan.query_stride, plan.tile, call.scale);
  const bool g_finite = copy_rows<T, Arch>({head.g, call.g.row, call.queries, call.width},
                                           workspace.g, plan.width_stride, plan.tile, T(1));
  compute_delta(call, plan, head, workspace);
  const int64_t padded = call.queries + plan.tile;
  for (int64_t i = 0; i < padded; ++i) {
    const T* const saved = head.softmax + i * call.softmax.row;
    workspace.shift[i] = i < call.queries ? saved[0] : T(0);
    workspace.factor[i] = i < call.queries ? saved[1] : T(0);
  }
  for (int64_t i = 0; i < padded * plan.query_stride; ++i) dq[i] = 0;
  const bool all_open = !has_masked_keys(call);
  return {all_open || q_finite, all_open || g_finite, true};
}

template <class T, class Arch>
void start_keys(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                const BackwardHead<T>& head, const BackwardWorkspace<T>& workspace, Range keys) {
  using Plan = AttentionPlan<T, Arch>;
  const T *k = head.k + keys.begin * call.k.row, *v = head.v + keys.begin * call.v.row;
  pack<T, Arch>(k, 1, call.k.row, call.depth, keys.size(), workspace.keys, Plan::panel,
                call.depth * Plan::panel);
  if (head.needs_dscores()) {
    pack<T, Arch>(v, 1, call.v.row, call.width, keys.size(), workspace.values, Plan::panel,
                  call.width * Plan::panel);
  }
  if (head.dq) {
    pack<T, Arch>(k, call.k.row, 1, keys.size(), call.depth, workspace.key_rows, Plan::panel,
                  keys.size() * Plan::panel);
  }
  const int64_t rows = keys.size() + Plan::tile;
  for (int64_t i = 0; i < rows * plan.query_stride; ++i) workspace.dk[i] = 0;
  for (int64_t i = 0; i < rows * plan.width_stride; ++i) workspace.dv[i] = 0;
}

// A block of queries and a block of keys.
template <class T, class Arch>
struct BlockPair {
  using V = Vec<T, Arch>;
  using Plan = AttentionPlan<T, Arch>;
  const AttentionCall<T>& call;
  const Plan& plan;
  const BackwardHead<T>& head;
  const BackwardWorkspace<T>& workspace;
  Range queries, keys;
  bool is_masked;
  FiniteOperands finite;

  REGRAD_INLINE int64_t visible_to(int64_t i) const {
    return visible_keys(call, queries.begin + i, keys);
  }

  // x = 0 for every masked pair of a query and a key.
  void clear_masked(T* x) const {
    const bool is_causal_edge = call.causal && visible_to(0) < keys.size();
    if (!is_causal_edge && !is_masked) return;
    for (int64_t i = 0; i < queries.size(); ++i, x += plan.key_stride) {
      const int64_t visible = visible_to(i);
      for (int64_t j = visible; j < keys.size(); ++j) x[j] = 0;
      if (is_masked) {
        fill_masked(visible, x,
                    head.mask + (queries.begin + i) * call.mask.row + keys.begin * call.mask.column,
                    call.mask.column, T(0));
      }
    }
  }

  // Calls finish(i, j, sum) with the product of `rows` [queries, depth] and the packed `columns`
  // [depth, keys].
  template <class Finish>
  REGRAD_INLINE void multiply_pairs(const T* rows, int64_t row_stride, const T* columns,
                                    int64_t depth, const Finish& finish) const {
    multiply<T, Arch>(
        {rows + queries.begin * row_stride, row_stride, 1, columns, Plan::panel,
         depth * Plan::panel},
        queries.size(), ceil_div(keys.size(), Plan::panel),
        [&](int64_t, int64_t end, int64_t panel) REGRAD_LAMBDA {
          return visible_to(end - 1) > panel * Plan::panel ? Range{0, depth} : skipped;
        },
        finish);
  }

  void compute_probs() const {
    const int64_t stride = plan.key_stride;
    multiply_pairs(workspace.q, plan.query_stride, workspace.keys, call.depth,
                   [&](int64_t i, int64_t j, V score)
                       REGRAD_LAMBDA { score.store_unaligned(workspace.probs + i * stride + j); });
    for (int64_t i = 0; i < queries.size(); ++i) {
      T* const probs_row = workspace.probs + i * stride;
      const int64_t visible = visible_to(i), query = queries.begin + i;
      if (head.bias) {
        add_bias<T, Arch>(visible, probs_row,
                          head.bias + query * call.bias.row + keys.begin * call.bias.column,
                          call.bias.column);
      }
      const V shift(workspace.shift[query]), factor(workspace.factor[query]);
      for (int64_t j = 0; j < visible; j += plan.lanes) {
        const V e = exp_nonpositive_fast<T, Arch>(V::load_unaligned(probs_row + j) - shift);
        (e * factor).store_unaligned(probs_row + j);
      }
    }
    clear_masked(workspace.probs);
  }

  void compute_dscores() const {
    const T* const delta = workspace.delta + queries.begin;
    const int64_t stride = plan.key_stride;
    multiply_pairs(workspace.g, plan.width_stride, workspace.values, call.width,
                   [&](int64_t i, int64_t j, V dprob) REGRAD_LAMBDA {
                     const int64_t offset = i * stride + j;
                     const V prob = V::load_unaligned(workspace.probs + offset), zero(T(0));
                     v_select(prob == zero, zero, prob * (dprob - V(delta[i])))
                         .store_unaligned(workspace.dscores + offset);
                   });
    clear_masked(workspace.dscores);
    for (int64_t i = 0; head.dbias && i < queries.size(); ++i) {
      T* const destination =
          head.dbias + (queries.begin + i) * call.dbias.row + keys.begin * call.dbias.column;
      const int64_t visible = visible_to(i);
      for (int64_t j = 0; j < visible; ++j) {
        destination[j * call.dbias.column] += workspace.dscores[i * stride + j];
      }
    }
  }

  // Accumulates a product into destination, whose rows are `stride` apart.
  template <class Span>
  REGRAD_INLINE void add_product(T* destination, int64_t stride, bool is_finite,
                                 const ProductOperands<T>& factors, int64_t rows, int64_t panels,
                                 const Span& span) const {
    const auto add = [&](int64_t i, int64_t j, V sum) REGRAD_LAMBDA {
      T* const element = destination + i * stride + j;
      (V::load_unaligned(element) + sum).store_unaligned(element);
    };
    is_finite ? multiply<T, Arch>(factors, rows, panels, span, add)
              : multiply_nonzero<T, Arch>(factors, rows, panels, span, add);
  }

  // destination += weightsᵀ rows: accumulates the block of queries into dK or dV.
  void add_to_keys(T* destination, const T* weights, const T* rows, int64_t stride, int64_t panels,
                   bool is_finite) const {
    add_product(destination, stride, is_finite,
                {weights, 1, plan.key_stride, rows + queries.begin * stride, stride, Plan::panel},
                keys.size(), panels, [&](int64_t first, int64_t, int64_t) REGRAD_LAMBDA {
                  // Under the causal mask, earlier queries do not attend to the key.
                  const int64_t begin = keys.begin + first - queries.begin;
                  if (!call.causal || begin <= 0) return Range{0, queries.size()};
                  return begin < queries.size() ? Range{begin, queries.size()} : skipped;
                });
  }

  void add_to_queries(T* dq) const {
    add_product(dq + queries.begin * plan.query_stride, plan.query_stride, finite.k,
                {workspace.dscores, plan.key_stride, 1, workspace.key_rows, Plan::panel,
                 keys.size() * Plan::panel},
                queries.size(), plan.depth_panels,
                [&](int64_t, int64_t end, int64_t) REGRAD_LAMBDA {
                  const int64_t visible = visible_to(end - 1);
                  return visible > 0 ? Range{0, visible} : skipped;
                });
  }
};

template <class T, class Arch>
void write_rows(const AttentionPlan<T, Arch>& plan, int64_t count, int64_t columns, T* destination,
                int64_t to_row, const T* source, int64_t from_row, T factor) {
  const Vec<T, Arch> factors(factor);
  for (int64_t i = 0; i < count; ++i, destination += to_row, source += from_row) {
    for (int64_t j = 0; j < columns; j += plan.lanes) {
      store<T, Arch>(destination + j, columns - j,
                     Vec<T, Arch>::load_unaligned(source + j) * factors);
    }
  }
}

// Differentiates one batch entry for a range of blocks of keys, and leaves their part of dQ,
// without the scale, in dq.
template <class T, class Arch>
void differentiate(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                   const BackwardHead<T>& head, const BackwardWorkspace<T>& workspace, Range blocks,
                   T* dq) {
  using Plan = AttentionPlan<T, Arch>;
  FiniteOperands finite = start_queries(call, plan, head, workspace, dq);
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    const Range keys{block * plan.key_block, min((block + 1) * plan.key_block, call.keys)};
    start_keys(call, plan, head, workspace, keys);
    finite.k = !has_masked_keys(call) || all_finite<T, Arch>(head.k + keys.begin * call.k.row,
                                                             call.k.row, keys.size(), call.depth);
    int64_t begin = call.causal ? keys.begin / Plan::query_block * Plan::query_block : 0;
    for (; begin < call.queries; begin += Plan::query_block) {
      const Range queries{begin, min(begin + Plan::query_block, call.queries)};
      const Visibility visibility = block_visibility<T, Arch>(call, head.mask, queries, keys);
      if (visibility == Visibility::none) continue;
      const BlockPair<T, Arch> pair{
          call, plan, head, workspace, queries, keys, visibility == Visibility::some, finite};
      pair.compute_probs();
      if (head.dv) {
        pair.add_to_keys(workspace.dv, workspace.probs, workspace.g, plan.width_stride,
                         plan.width_panels, finite.g);
      }
      if (!head.needs_dscores()) continue;
      pair.compute_dscores();
      if (head.dk) {
        pair.add_to_keys(workspace.dk, workspace.dscores, workspace.q, plan.query_stride,
                         plan.depth_panels, finite.q);
      }
      if (head.dq) pair.add_to_queries(dq);
    }
    if (head.dk) {  // not multiplied by the scale, which the copy of Q already is
      write_rows(plan, keys.size(), call.depth, head.dk + keys.begin * call.dk.row, call.dk.row,
                 workspace.dk, plan.query_stride, T(1));
    }
    if (head.dv) {
      write_rows(plan, keys.size(), call.width, head.dv + keys.begin * call.dv.row, call.dv.row,
                 workspace.dv, plan.width_stride, T(1));
    }
  }
}

// How the work is divided into chunks. A unit is a batch entry, or the entries that share a dbias;
// a chunk is a group of units. If there are few units, each is split into ranges of keys: each
// range has its own dQ, and these are added in order.
template <class T, class Arch>
struct BackwardDivision {
  int64_t units, splits = 1, group, dq_size;

  BackwardDivision(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan) {
    units = plan.batches / call.shared;
    dq_size = (call.queries + plan.tile) * plan.query_stride;
    const double cost_per_unit = plan.operations * 5 * static_cast<double>(call.shared);
    // A dbias that is summed over the keys is written by all ranges of keys.
    const bool shares_dbias = call.dbias.data && call.dbias.column == 0;
    if (units < plan.target_chunks && !shares_dbias) {
      const double useful_splits = cost_per_unit / plan.chunk_operations;
      splits = min(ceil_div(plan.target_chunks, units), plan.key_blocks(call));
      if (useful_splits < static_cast<double>(splits))
        splits = max(static_cast<int64_t>(useful_splits), 1);
      splits = max(splits, 1);
    }
    group = splits > 1 ? 1 : plan.units_per_chunk(cost_per_unit, units);
  }
};

template <class T, class Arch>
void sum_dq_parts(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                  const BackwardDivision<T, Arch>& division, T* dq_parts) {
  using V = Vec<T, Arch>;
  parallel_for(plan.batches, [&](int64_t i) {
    T* const total = dq_parts + i * division.splits * division.dq_size;
    for (int64_t p = 1; p < division.splits; ++p) {
      for (int64_t j = 0; j < division.dq_size; j += plan.lanes) {
        (V::load_unaligned(total + j) + V::load_unaligned(total + p * division.dq_size + j))
            .store_unaligned(total + j);
      }
    }
    write_rows(plan, call.queries, call.depth, batch_entry(call, call.dq, i), call.dq.row,
               static_cast<const T*>(total), plan.query_stride, call.scale);
  });
}

template <class T, class Arch>
void attention_backward(const AttentionCall<T>& call) {
  const AttentionPlan<T, Arch> plan(call);
  if (plan.batches == 0) return;
  const BackwardDivision<T, Arch> division(call, plan);
  T* dq_parts = nullptr;
  if (division.splits > 1) {
    const int64_t elements = plan.batches * division.splits * division.dq_size;
    dq_parts = static_cast<T*>(
        scratch(Scratch::attention_shared, static_cast<std::size_t>(elements) * sizeof(T)));
  }
  const Cut ranges(plan.key_blocks(call), division.splits);
  const int64_t chunks = ceil_div(division.units, division.group) * division.splits;
  parallel_for(chunks, [&](int64_t chunk) {
    const int64_t split = chunk % division.splits, first = chunk / division.splits * division.group;
    const int64_t end = min(first + division.group, division.units) * call.shared;
    const auto workspace =
        allocate_in_arena<BackwardWorkspace<T>>(Scratch::attention, plan, call.queries);
    for (int64_t i = first * call.shared; i < end; ++i) {
      const BackwardHead<T> head(call, i);
      T* const dq =
          dq_parts ? dq_parts + (i * division.splits + split) * division.dq_size : workspace.dq;
      differentiate(call, plan, head, workspace, ranges[split], dq);
      if (head.dq && !dq_parts) {
        write_rows(plan, call.queries, call.depth, head.dq, call.dq.row, static_cast<const T*>(dq),
                   plan.query_stride, call.scale);
      }
    }
  });
  if (dq_parts && call.dq.data) sum_dq_parts(call, plan, division, dq_parts);
}

}  // namespace regrad::simd

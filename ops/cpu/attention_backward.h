// Fused attention, backward. With shares P = softmax(S), S = scale Q Kᵀ + bias, and output O = P V:
//   dV = Pᵀ G,  dP = G Vᵀ,  dS = P (dP - delta),  delta_i = sum_e G_ie O_ie,
//   dQ = scale dS K,  dK = scale dSᵀ Q,  dbias = dS.
// The shares are computed again, from the largest score and the sum that the forward pass saved
// (as in Dao: FlashAttention-2, 2023). The keys are taken block by block, so that a block's dK and
// dV stay in the cache while the queries pass; dQ grows block by block in memory.
#pragma once

#include "ops/cpu/attention_forward.h"

namespace regrad::simd {

template <class T>
struct BackwardSpace {
  T *q, *g, *dq, *shift, *factor, *delta;  // of all queries; P = factor exp(S - shift)
  T *keys, *values, *key_rows, *dk, *dv;  // of a block of keys
  T *shares, *slopes;                     // P and dS of a block of queries and one of keys

  template <class Arch>
  BackwardSpace(Carver& carver, const AttentionPlan<T, Arch>& plan, int64_t queries) {
    const int64_t rows = queries + plan.tile, key_rows_here = plan.key_block + plan.tile;
    q = carver.take<T>(rows * plan.query_stride);
    g = carver.take<T>(rows * plan.width_stride);
    dq = carver.take<T>(rows * plan.query_stride);
    shift = carver.take<T>(rows);
    factor = carver.take<T>(rows);
    delta = carver.take<T>(rows);
    const int64_t columns = plan.key_block + plan.panel;
    keys = carver.take<T>(columns * plan.depth_panels * plan.panel);
    values = carver.take<T>(columns * plan.width_panels * plan.panel);
    key_rows = carver.take<T>(plan.key_block * plan.depth_panels * plan.panel);
    dk = carver.take<T>(key_rows_here * plan.query_stride);
    dv = carver.take<T>(key_rows_here * plan.width_stride);
    shares = carver.take<T>(plan.query_block * plan.key_stride);
    slopes = carver.take<T>(plan.query_block * plan.key_stride);
  }
};

template <class T>
struct BackwardHead : ForwardHead<T> {
  const T* g;
  T *dq, *dk, *dv, *dbias;
  REGRAD_INLINE BackwardHead(const AttentionCall<T>& call, int64_t i)
      : ForwardHead<T>(call, i),
        g(member(call, call.g, i)),
        dq(member(call, call.dq, i)),
        dk(member(call, call.dk, i)),
        dv(member(call, call.dv, i)),
        dbias(member(call, call.dbias, i)) {}
  REGRAD_INLINE bool wants_slopes() const { return dq || dk || dbias; }
};

// delta_i = sum_e G_ie O_ie, in the very order in which a tile sums dP: the scores of a query with
// a single key then have no gradient, exactly. So a row is a chain of sums, and four go together.
template <class T, class Arch>
void find_delta(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                const BackwardHead<T>& head, const BackwardSpace<T>& space) {
  using V = Vec<T, Arch>;
  constexpr int together = 4;
  const FarRows<T> out{head.out, call.out.row, call.queries, call.width};
  for (int64_t i = 0; i < call.queries; i += together) {
    const T* row[together];
    for (int r = 0; r < together; ++r) row[r] = out[min(i + r, call.queries - 1)];
    const T* const g = space.g + i * plan.width_stride;
    V sum[together] = {V(T(0)), V(T(0)), V(T(0)), V(T(0))};
    for (int64_t j = 0; j < call.width; ++j) {
#pragma GCC unroll 4
      for (int r = 0; r < together; ++r) {
        sum[r] = multiply_add(V(g[r * plan.width_stride + j]), V(row[r][j]), sum[r]);
      }
    }
    for (int r = 0; r < together; ++r) {
      alignas(64) T all[V::size];
      sum[r].store_unaligned(all);
      space.delta[i + r] = all[0];
    }
  }
}

// Of which operands a weight of 0 can be multiplied with anything: all are finite, or none is
// closed.
struct Multipliable {
  bool q, g, k;
};

// Copies of the queries and of G, with what is known of each row, and no dQ yet. The rows beyond
// the last have no shares.
template <class T, class Arch>
Multipliable start_queries(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                           const BackwardHead<T>& head, const BackwardSpace<T>& space, T* dq) {
  const bool q_finite = copy_rows<T, Arch>({head.q, call.q.row, call.queries, call.depth}, space.q,
                                           plan.query_stride, plan.tile, call.scale);
  const bool g_finite = copy_rows<T, Arch>({head.g, call.g.row, call.queries, call.width}, space.g,
                                           plan.width_stride, plan.tile, T(1));
  find_delta(call, plan, head, space);
  const int64_t padded = call.queries + plan.tile;
  for (int64_t i = 0; i < padded; ++i) {
    const T* const saved = head.softmax + i * call.softmax.row;
    space.shift[i] = i < call.queries ? saved[0] : T(0);
    space.factor[i] = i < call.queries ? saved[1] : T(0);
  }
  for (int64_t i = 0; i < padded * plan.query_stride; ++i) dq[i] = 0;
  const bool all_open = !has_closed_keys(call);
  return {all_open || q_finite, all_open || g_finite, true};
}

template <class T, class Arch>
void start_keys(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                const BackwardHead<T>& head, const BackwardSpace<T>& space, Range keys) {
  using Plan = AttentionPlan<T, Arch>;
  const T *k = head.k + keys.begin * call.k.row, *v = head.v + keys.begin * call.v.row;
  pack<T, Arch>(k, 1, call.k.row, call.depth, keys.size(), space.keys, Plan::panel,
                call.depth * Plan::panel);
  if (head.wants_slopes()) {
    pack<T, Arch>(v, 1, call.v.row, call.width, keys.size(), space.values, Plan::panel,
                  call.width * Plan::panel);
  }
  if (head.dq) {
    pack<T, Arch>(k, call.k.row, 1, keys.size(), call.depth, space.key_rows, Plan::panel,
                  keys.size() * Plan::panel);
  }
  const int64_t rows = keys.size() + Plan::tile;
  for (int64_t i = 0; i < rows * plan.query_stride; ++i) space.dk[i] = 0;
  for (int64_t i = 0; i < rows * plan.width_stride; ++i) space.dv[i] = 0;
}

// A block of queries and a block of keys.
template <class T, class Arch>
struct BlockPair {
  using V = Vec<T, Arch>;
  using Plan = AttentionPlan<T, Arch>;
  const AttentionCall<T>& call;
  const Plan& plan;
  const BackwardHead<T>& head;
  const BackwardSpace<T>& space;
  Range queries, keys;
  bool is_masked;
  Multipliable plain;

  REGRAD_INLINE int64_t open_to(int64_t i) const {
    return keys_open_to(call, queries.begin + i, keys);
  }

  // x = 0 wherever a key is closed to a query.
  void clear_closed(T* x) const {
    const bool is_cut = call.causal && open_to(0) < keys.size();
    if (!is_cut && !is_masked) return;
    for (int64_t i = 0; i < queries.size(); ++i, x += plan.key_stride) {
      const int64_t open = open_to(i);
      for (int64_t j = open; j < keys.size(); ++j) x[j] = 0;
      if (is_masked) {
        close(open, x,
              head.mask + (queries.begin + i) * call.mask.row + keys.begin * call.mask.column,
              call.mask.column, T(0));
      }
    }
  }

  // finish(i, j, sum) for the product of all of `rows`, which have `depth` columns, with `columns`.
  template <class Finish>
  REGRAD_INLINE void multiply_pairs(const T* rows, int64_t row_stride, const T* columns,
                                    int64_t depth, const Finish& finish) const {
    multiply<T, Arch>(
        {rows + queries.begin * row_stride, row_stride, 1, columns, Plan::panel,
         depth * Plan::panel},
        queries.size(), ceil_div(keys.size(), Plan::panel),
        [&](int64_t, int64_t end, int64_t panel) REGRAD_LAMBDA {
          return open_to(end - 1) > panel * Plan::panel ? Range{0, depth} : skipped;
        },
        finish);
  }

  void find_shares() const {
    const int64_t stride = plan.key_stride;
    multiply_pairs(space.q, plan.query_stride, space.keys, call.depth,
                   [&](int64_t i, int64_t j, V score)
                       REGRAD_LAMBDA { score.store_unaligned(space.shares + i * stride + j); });
    for (int64_t i = 0; i < queries.size(); ++i) {
      T* const row = space.shares + i * stride;
      const int64_t open = open_to(i), query = queries.begin + i;
      if (head.bias) {
        add_bias<T, Arch>(open, row,
                          head.bias + query * call.bias.row + keys.begin * call.bias.column,
                          call.bias.column);
      }
      const V shift(space.shift[query]), factor(space.factor[query]);
      for (int64_t j = 0; j < open; j += plan.lanes) {
        const V power = exp_nonpositive_fast<T, Arch>(V::load_unaligned(row + j) - shift);
        (power * factor).store_unaligned(row + j);
      }
    }
    clear_closed(space.shares);
  }

  void find_slopes() const {
    const T* const delta = space.delta + queries.begin;
    const int64_t stride = plan.key_stride;
    multiply_pairs(space.g, plan.width_stride, space.values, call.width,
                   [&](int64_t i, int64_t j, V sum) REGRAD_LAMBDA {
                     const int64_t at = i * stride + j;
                     const V share = V::load_unaligned(space.shares + at), none(T(0));
                     v_select(share == none, none, share * (sum - V(delta[i])))
                         .store_unaligned(space.slopes + at);
                   });
    clear_closed(space.slopes);
    for (int64_t i = 0; head.dbias && i < queries.size(); ++i) {
      T* const to =
          head.dbias + (queries.begin + i) * call.dbias.row + keys.begin * call.dbias.column;
      const int64_t open = open_to(i);
      for (int64_t j = 0; j < open; ++j) {
        to[j * call.dbias.column] += space.slopes[i * stride + j];
      }
    }
  }

  // to += a product, in rows `stride` apart.
  template <class Span>
  REGRAD_INLINE void add_product(T* to, int64_t stride, bool is_plain, const Factors<T>& factors,
                                 int64_t rows, int64_t panels, const Span& span) const {
    const auto add = [&](int64_t i, int64_t j, V sum) REGRAD_LAMBDA {
      T* const at = to + i * stride + j;
      (V::load_unaligned(at) + sum).store_unaligned(at);
    };
    is_plain ? multiply<T, Arch>(factors, rows, panels, span, add)
             : multiply_nonzero<T, Arch>(factors, rows, panels, span, add);
  }

  // to += weightsᵀ rows, a row for each key: what the queries of the block add to it.
  void add_to_keys(T* to, const T* weights, const T* rows, int64_t stride, int64_t panels,
                   bool is_plain) const {
    add_product(to, stride, is_plain,
                {weights, 1, plan.key_stride, rows + queries.begin * stride, stride, Plan::panel},
                keys.size(), panels, [&](int64_t first, int64_t, int64_t) REGRAD_LAMBDA {
                  // Earlier queries do not see the key.
                  const int64_t begin = keys.begin + first - queries.begin;
                  if (!call.causal || begin <= 0) return Range{0, queries.size()};
                  return begin < queries.size() ? Range{begin, queries.size()} : skipped;
                });
  }

  void add_to_queries(T* dq) const {
    add_product(
        dq + queries.begin * plan.query_stride, plan.query_stride, plain.k,
        {space.slopes, plan.key_stride, 1, space.key_rows, Plan::panel, keys.size() * Plan::panel},
        queries.size(), plan.depth_panels, [&](int64_t, int64_t end, int64_t) REGRAD_LAMBDA {
          const int64_t open = open_to(end - 1);
          return open > 0 ? Range{0, open} : skipped;
        });
  }
};

template <class T, class Arch>
void write_rows(const AttentionPlan<T, Arch>& plan, int64_t count, int64_t columns, T* to,
                int64_t to_row, const T* from, int64_t from_row, T factor) {
  const Vec<T, Arch> by(factor);
  for (int64_t i = 0; i < count; ++i, to += to_row, from += from_row) {
    for (int64_t j = 0; j < columns; j += plan.lanes) {
      store<T, Arch>(to + j, columns - j, Vec<T, Arch>::load_unaligned(from + j) * by);
    }
  }
}

// One member of the batch, with a range of its blocks of keys; what they add to dQ is left in dq.
template <class T, class Arch>
void differentiate(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                   const BackwardHead<T>& head, const BackwardSpace<T>& space, Range blocks,
                   T* dq) {
  using Plan = AttentionPlan<T, Arch>;
  Multipliable plain = start_queries(call, plan, head, space, dq);
  for (int64_t block = blocks.begin; block < blocks.end; ++block) {
    const Range keys{block * plan.key_block, min((block + 1) * plan.key_block, call.keys)};
    start_keys(call, plan, head, space, keys);
    plain.k = !has_closed_keys(call) || all_finite<T, Arch>(head.k + keys.begin * call.k.row,
                                                            call.k.row, keys.size(), call.depth);
    int64_t begin = call.causal ? keys.begin / Plan::query_block * Plan::query_block : 0;
    for (; begin < call.queries; begin += Plan::query_block) {
      const Range queries{begin, min(begin + Plan::query_block, call.queries)};
      const Permitted some = permitted<T, Arch>(call, head.mask, queries, keys);
      if (some == Permitted::none) continue;
      const BlockPair<T, Arch> pair{call, plan, head, space, queries, keys, some == Permitted::some,
                                    plain};
      pair.find_shares();
      if (head.dv) {
        pair.add_to_keys(space.dv, space.shares, space.g, plan.width_stride, plan.width_panels,
                         plain.g);
      }
      if (!head.wants_slopes()) continue;
      pair.find_slopes();
      if (head.dk) {
        pair.add_to_keys(space.dk, space.slopes, space.q, plan.query_stride, plan.depth_panels,
                         plain.q);
      }
      if (head.dq) pair.add_to_queries(dq);
    }
    if (head.dk) {  // the copy of q has the scale in it
      write_rows(plan, keys.size(), call.depth, head.dk + keys.begin * call.dk.row, call.dk.row,
                 space.dk, plan.query_stride, T(1));
    }
    if (head.dv) {
      write_rows(plan, keys.size(), call.width, head.dv + keys.begin * call.dv.row, call.dv.row,
                 space.dv, plan.width_stride, T(1));
    }
  }
}

// A chunk is all keys of a member of the batch, or of those that share a dbias; or, where these are
// few, a range of the keys. Then each range has a dQ of its own, and they are added in order.
template <class T, class Arch>
struct BackwardCut {
  int64_t units, splits = 1, group, part;  // part: elements of one dQ

  BackwardCut(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan) {
    units = plan.batches / call.shared;
    part = (call.queries + plan.tile) * plan.query_stride;
    const double each = plan.operations * 5 * static_cast<double>(call.shared);
    const bool is_summed = call.dbias.data && call.dbias.column == 0;  // one place for all keys
    if (units < plan.wanted_chunks && !is_summed) {
      const double worth = each / plan.chunk_operations;
      splits = min(ceil_div(plan.wanted_chunks, units), plan.key_blocks(call));
      if (worth < static_cast<double>(splits)) splits = max(static_cast<int64_t>(worth), 1);
      splits = max(splits, 1);
    }
    group = splits > 1 ? 1 : plan.group_of(each, units);
  }
};

template <class T, class Arch>
void add_parts(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
               const BackwardCut<T, Arch>& cut, T* parts) {
  using V = Vec<T, Arch>;
  parallel_for(plan.batches, [&](int64_t i) {
    T* const sum = parts + i * cut.splits * cut.part;
    for (int64_t p = 1; p < cut.splits; ++p) {
      for (int64_t j = 0; j < cut.part; j += plan.lanes) {
        (V::load_unaligned(sum + j) + V::load_unaligned(sum + p * cut.part + j))
            .store_unaligned(sum + j);
      }
    }
    write_rows(plan, call.queries, call.depth, member(call, call.dq, i), call.dq.row,
               static_cast<const T*>(sum), plan.query_stride, call.scale);
  });
}

template <class T, class Arch>
void attention_backward(const AttentionCall<T>& call) {
  const AttentionPlan<T, Arch> plan(call);
  if (plan.batches == 0) return;
  const BackwardCut<T, Arch> cut(call, plan);
  T* parts = nullptr;
  if (cut.splits > 1) {
    const int64_t elements = plan.batches * cut.splits * cut.part;
    parts = static_cast<T*>(
        scratch(Scratch::attention_shared, static_cast<std::size_t>(elements) * sizeof(T)));
  }
  const Cut ranges(plan.key_blocks(call), cut.splits);
  const int64_t chunks = ceil_div(cut.units, cut.group) * cut.splits;
  parallel_for(chunks, [&](int64_t chunk) {
    const int64_t split = chunk % cut.splits, first = chunk / cut.splits * cut.group;
    const int64_t end = min(first + cut.group, cut.units) * call.shared;
    const auto space = carve<BackwardSpace<T>>(Scratch::attention, plan, call.queries);
    for (int64_t i = first * call.shared; i < end; ++i) {
      const BackwardHead<T> head(call, i);
      T* const dq = parts ? parts + (i * cut.splits + split) * cut.part : space.dq;
      differentiate(call, plan, head, space, ranges[split], dq);
      if (head.dq && !parts) {
        write_rows(plan, call.queries, call.depth, head.dq, call.dq.row, static_cast<const T*>(dq),
                   plan.query_stride, call.scale);
      }
    }
  });
  if (parts && call.dq.data) add_parts(call, plan, cut, parts);
}

}  // namespace regrad::simd

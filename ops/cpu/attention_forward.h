// Fused attention, forward, with the online softmax: blocks of queries and keys are processed one
// pair at a time. For each query, the running maximum of the scores, the sum of exponentials and
// the weighted sum of values are kept, and rescaled when the maximum grows. (Milakov, Gimelshein:
// Online normalizer calculation for softmax, 2018; Dao: FlashAttention-2, 2023.) Only one block of
// scores exists at a time.
#pragma once

#include "ops/cpu/attention_plan.h"

namespace regrad::simd {

template <class T>
struct ForwardWorkspace {
  T *q, *keys, *values, *scores, *out;
  T *max_score, *sum, *factor;  // per query: running maximum, sum, and what rescales them

  template <class Arch>
  ForwardWorkspace(Arena& arena, const AttentionPlan<T, Arch>& plan, int64_t queries) {
    const int64_t rows = queries + plan.tile + plan.lanes;
    q = arena.allocate<T>(rows * plan.query_stride);
    out = arena.allocate<T>(rows * plan.width_stride);
    keys = arena.allocate<T>((plan.key_block + plan.panel) * plan.depth_panels * plan.panel);
    values = arena.allocate<T>(plan.key_block * plan.width_panels * plan.panel);
    scores = arena.allocate<T>(plan.query_block * plan.key_stride);
    max_score = arena.allocate<T>(rows);
    sum = arena.allocate<T>(rows);
    factor = arena.allocate<T>(rows);
  }
};

// The matrices of one batch entry.
template <class T>
struct ForwardHead {
  const T *q, *k, *v, *bias;
  const bool* mask;
  T *out, *softmax;
  REGRAD_INLINE ForwardHead(const AttentionCall<T>& call, int64_t i)
      : q(batch_entry(call, call.q, i)),
        k(batch_entry(call, call.k, i)),
        v(batch_entry(call, call.v, i)),
        bias(batch_entry(call, call.bias, i)),
        mask(batch_entry(call, call.mask, i)),
        out(batch_entry(call, call.out, i)),
        softmax(batch_entry(call, call.softmax, i)) {}
};

// scores += bias, with any column stride.
template <class T, class Arch>
void add_bias(int64_t count, T* scores, const T* bias, int64_t stride) {
  if (stride == 1) {
    for (int64_t j = 0; j < count; j += lanes_of<T, Arch>) {
      const auto x = load<T, Arch>(bias + j, count - j);
      (Vec<T, Arch>::load_unaligned(scores + j) + x).store_unaligned(scores + j);
    }
  } else {
    for (int64_t j = 0; j < count; ++j) scores[j] += bias[j * stride];
  }
}

// The shift of a query's scores: their maximum, or 0 if that is -inf.
template <class T>
REGRAD_INLINE T shift_of_max(T max_score) {
  return max_score == -infinity<T>() ? T(0) : max_score;
}

// The maximum of old_max and a query's scores with its `visible` keys. It may ignore a NaN, which
// the sum of exponentials does not.
template <class T, class Arch>
T update_max(int64_t visible, T* scores, T old_max) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const int64_t padded = ceil_div(visible, lanes) * lanes;
  for (int64_t j = visible; j < padded; ++j) scores[j] = -infinity<T>();
  V row_max(old_max);
  for (int64_t j = 0; j < padded; j += lanes) {
    row_max = max_or_second(V::load_unaligned(scores + j), row_max);
  }
  return fold_lanes<Extremum<1>>(row_max);
}

// Replaces scores by exp(score - max_score), and those from `visible` to `padded` by 0; returns the
// sum.
template <class T, class Arch>
T exponentiate_row(int64_t visible, int64_t padded, T* scores, T max_score) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const V shift(shift_of_max(max_score));
  V total(T(0));
  int64_t j = 0;
  for (; j < visible; j += lanes) {
    const V e = exp_nonpositive_fast<T, Arch>(V::load_unaligned(scores + j) - shift);
    e.store_unaligned(scores + j);
    total += e;
  }
  for (; j < padded; j += lanes) V(T(0)).store_unaligned(scores + j);
  return sum_lanes(total);
}

// Adds the bias to the scores of one query, and gives those that the mask excludes -infinity.
template <class T, class Arch>
REGRAD_INLINE void bias_and_mask(const AttentionCall<T>& call, const ForwardHead<T>& head,
                                 Visibility visibility, int64_t query, Range keys, int64_t visible,
                                 T* scores) {
  if (head.bias) {
    add_bias<T, Arch>(visible, scores,
                      head.bias + query * call.bias.row + keys.begin * call.bias.column,
                      call.bias.column);
  }
  if (visibility == Visibility::some) {
    fill_masked(visible, scores, head.mask + query * call.mask.row + keys.begin * call.mask.column,
                call.mask.column, -infinity<T>());
  }
}

// Processes a block of queries, which begins at row first_query of the workspace, and a packed
// block of keys and values.
template <class T, class Arch>
void attend_block(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                  const ForwardHead<T>& head, const ForwardWorkspace<T>& workspace, Range queries,
                  int64_t first_query, Range keys, bool values_finite) {
  using V = Vec<T, Arch>;
  using Plan = AttentionPlan<T, Arch>;
  const Visibility visibility = block_visibility<T, Arch>(call, head.mask, queries, keys);
  if (visibility == Visibility::none) return;
  const int64_t rows = queries.size(), stride = plan.key_stride;
  const auto visible_to = [&](int64_t i)
                              REGRAD_LAMBDA { return visible_keys(call, queries.begin + i, keys); };
  multiply<T, Arch>(
      {workspace.q + first_query * plan.query_stride, plan.query_stride, 1, workspace.keys,
       Plan::panel, call.depth * Plan::panel},
      rows, ceil_div(keys.size(), Plan::panel),
      [&](int64_t, int64_t end, int64_t panel) REGRAD_LAMBDA {
        return visible_to(end - 1) > panel * Plan::panel ? Range{0, call.depth} : skipped;
      },
      [&](int64_t i, int64_t j, V score)
          REGRAD_LAMBDA { score.store_unaligned(workspace.scores + i * stride + j); });
  for (int64_t i = 0; i < rows; ++i) {
    T* const scores = workspace.scores + i * stride;
    const int64_t visible = visible_to(i), query = queries.begin + i;
    bias_and_mask<T, Arch>(call, head, visibility, query, keys, visible, scores);
    const T max_score = update_max<T, Arch>(visible, scores, workspace.max_score[first_query + i]);
    workspace.factor[first_query + i] =
        workspace.max_score[first_query + i] - shift_of_max(max_score);
    workspace.max_score[first_query + i] = max_score;
  }
  for (int64_t i = first_query; i < first_query + rows; i += plan.lanes) {
    const V factor = exp_nonpositive_fast<T, Arch>(V::load_unaligned(workspace.factor + i));
    factor.store_unaligned(workspace.factor + i);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t visible = visible_to(i), padded = min(visible + Plan::tile, keys.size());
    T& sum = workspace.sum[first_query + i];
    sum = sum * workspace.factor[first_query + i] +
          exponentiate_row<T, Arch>(visible, padded, workspace.scores + i * stride,
                                    workspace.max_score[first_query + i]);
  }
  const ProductOperands<T> product{workspace.scores, stride,      1,
                                   workspace.values, Plan::panel, keys.size() * Plan::panel};
  const auto span = [&](int64_t, int64_t end, int64_t) REGRAD_LAMBDA {
    const int64_t visible = visible_to(end - 1);
    return visible > 0 ? Range{0, visible} : skipped;
  };
  const auto finish = [&](int64_t i, int64_t j, V sum) REGRAD_LAMBDA {
    T* const destination = workspace.out + (first_query + i) * plan.width_stride + j;
    multiply_add(V::load_unaligned(destination), V(workspace.factor[first_query + i]), sum)
        .store_unaligned(destination);
  };
  values_finite ? multiply<T, Arch>(product, rows, plan.width_panels, span, finish)
                : multiply_nonzero<T, Arch>(product, rows, plan.width_panels, span, finish);
}

template <class T, class Arch>
void write_output(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                  const ForwardHead<T>& head, const ForwardWorkspace<T>& workspace, Range queries) {
  for (int64_t i = 0; i < queries.size(); ++i) {
    const T sum = workspace.sum[i];
    const T inverse_sum = sum == 0 ? T(0) : 1 / sum;
    const T* source = workspace.out + i * plan.width_stride;
    T* destination = head.out + (queries.begin + i) * call.out.row;
    for (int64_t j = 0; j < call.width; j += lanes_of<T, Arch>) {
      store<T, Arch>(destination + j, call.width - j,
                     Vec<T, Arch>::load_unaligned(source + j) * Vec<T, Arch>(inverse_sum));
    }
    if (head.softmax == nullptr) continue;
    T* const saved = head.softmax + (queries.begin + i) * call.softmax.row;
    saved[0] = shift_of_max(workspace.max_score[i]);
    saved[1] = inverse_sum;
  }
}

// Attention of a range of queries of one batch entry.
template <class T, class Arch>
void attend(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
            const ForwardHead<T>& head, Range queries) {
  using Plan = AttentionPlan<T, Arch>;
  const auto workspace =
      allocate_in_arena<ForwardWorkspace<T>>(Scratch::attention, plan, queries.size());
  const int64_t padded = queries.size() + Plan::tile;
  copy_rows<T, Arch>({head.q + queries.begin * call.q.row, call.q.row, queries.size(), call.depth},
                     workspace.q, plan.query_stride, Plan::tile, call.scale);
  for (int64_t i = 0; i < padded; ++i) {
    workspace.max_score[i] = -infinity<T>();
    workspace.sum[i] = workspace.factor[i] = 0;
  }
  for (int64_t i = 0; i < padded * plan.width_stride; ++i) workspace.out[i] = 0;
  const int64_t end = call.causal ? min(queries.end, call.keys) : call.keys;
  for (int64_t first = 0; first < end; first += plan.key_block) {
    const Range keys{first, min(first + plan.key_block, end)};
    if (block_visibility<T, Arch>(call, head.mask, queries, keys) == Visibility::none) continue;
    pack<T, Arch>(head.k + first * call.k.row, 1, call.k.row, call.depth, keys.size(),
                  workspace.keys, Plan::panel, call.depth * Plan::panel);
    pack<T, Arch>(head.v + first * call.v.row, call.v.row, 1, keys.size(), call.width,
                  workspace.values, Plan::panel, keys.size() * Plan::panel);
    const bool values_finite =
        !has_masked_keys(call) ||
        all_finite<T, Arch>(head.v + first * call.v.row, call.v.row, keys.size(), call.width);
    int64_t begin = queries.begin;
    if (call.causal && first > begin)
      begin += (first - begin) / Plan::query_block * Plan::query_block;
    for (; begin < queries.end; begin += Plan::query_block) {
      attend_block(call, plan, head, workspace,
                   {begin, min(begin + Plan::query_block, queries.end)}, begin - queries.begin,
                   keys, values_finite);
    }
  }
  write_output(call, plan, head, workspace, queries);
}

template <class T, class Arch>
void attention(const AttentionCall<T>& call) {
  using Plan = AttentionPlan<T, Arch>;
  const Plan plan(call);
  if (plan.batches == 0 || call.queries == 0) return;
  // The packed keys are used for all queries of a chunk, so that small chunks cost more per query.
  const int64_t max_rows = 8 * Plan::query_block;
  const int64_t balanced_rows = ceil_div(call.queries * plan.batches, Plan::target_chunks);
  const int64_t rows =
      ceil_div(max(min(balanced_rows, max_rows), 1), Plan::query_block) * Plan::query_block;
  const int64_t parts = ceil_div(call.queries, rows);
  const int64_t units = plan.batches * parts;
  const int64_t group =
      plan.units_per_chunk(plan.operations * 2 / static_cast<double>(parts), units);
  parallel_for(ceil_div(units, group), [&](int64_t chunk) {
    for (int64_t unit = chunk * group; unit < min((chunk + 1) * group, units); ++unit) {
      const int64_t first = unit % parts * rows;
      attend(call, plan, ForwardHead<T>(call, unit / parts),
             {first, min(first + rows, call.queries)});
    }
  });
}

}  // namespace regrad::simd

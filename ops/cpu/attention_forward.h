// Fused attention, forward: a block of queries meets a block of keys at a time; of each query the
// largest score so far, the sum of exponentials and the weighted sum of values are carried along,
// and rescaled when a larger score comes. (Milakov, Gimelshein: Online normalizer calculation for
// softmax, 2018; Dao: FlashAttention-2, 2023.) No more than one block of scores exists at a time.
#pragma once

#include "ops/cpu/attention_plan.h"

namespace regrad::simd {

template <class T>
struct ForwardSpace {
  T *q, *keys, *values, *scores, *out;
  T *most, *sum, *factor;  // of each query

  template <class Arch>
  ForwardSpace(Carver& carver, const AttentionPlan<T, Arch>& plan, int64_t queries) {
    const int64_t rows = queries + plan.tile + plan.lanes;
    q = carver.take<T>(rows * plan.query_stride);
    out = carver.take<T>(rows * plan.width_stride);
    keys = carver.take<T>((plan.key_block + plan.panel) * plan.depth_panels * plan.panel);
    values = carver.take<T>(plan.key_block * plan.width_panels * plan.panel);
    scores = carver.take<T>(plan.query_block * plan.key_stride);
    most = carver.take<T>(rows);
    sum = carver.take<T>(rows);
    factor = carver.take<T>(rows);
  }
};

// One member of the batch.
template <class T>
struct ForwardHead {
  const T *q, *k, *v, *bias;
  const bool* mask;
  T *out, *softmax;
  REGRAD_INLINE ForwardHead(const AttentionCall<T>& call, int64_t i)
      : q(member(call, call.q, i)),
        k(member(call, call.k, i)),
        v(member(call, call.v, i)),
        bias(member(call, call.bias, i)),
        mask(member(call, call.mask, i)),
        out(member(call, call.out, i)),
        softmax(member(call, call.softmax, i)) {}
};

// scores += bias, with any step from column to column.
template <class T, class Arch>
void add_bias(int64_t count, T* scores, const T* bias, int64_t step) {
  if (step == 1) {
    for (int64_t j = 0; j < count; j += lanes_of<T, Arch>) {
      const auto x = load<T, Arch>(bias + j, count - j);
      (Vec<T, Arch>::load_unaligned(scores + j) + x).store_unaligned(scores + j);
    }
  } else {
    for (int64_t j = 0; j < count; ++j) scores[j] += bias[j * step];
  }
}

// What scores are shifted by: their largest, or 0 where all are -inf.
template <class T>
REGRAD_INLINE T shift_for(T most) {
  return most == -infinity<T>() ? T(0) : most;
}

// The largest of a query's scores with `open` keys and of what was the largest before. A NaN is not
// noticed here, but in the sum.
template <class T, class Arch>
T greatest_of(int64_t open, T* scores, T before) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const int64_t whole = ceil_div(open, lanes) * lanes;
  for (int64_t j = open; j < whole; ++j) scores[j] = -infinity<T>();
  V greatest(before);
  for (int64_t j = 0; j < whole; j += lanes) {
    greatest = max_or_second(V::load_unaligned(scores + j), greatest);
  }
  return fold_lanes<Extremum<1>>(greatest);
}

// Scores become shares of the largest; those beyond `open`, up to `padded`, become 0. Their sum.
template <class T, class Arch>
T weigh_row(int64_t open, int64_t padded, T* scores, T most) {
  using V = Vec<T, Arch>;
  constexpr int64_t lanes = lanes_of<T, Arch>;
  const V shift(shift_for(most));
  V total(T(0));
  int64_t j = 0;
  for (; j < open; j += lanes) {
    const V share = exp_nonpositive_fast<T, Arch>(V::load_unaligned(scores + j) - shift);
    share.store_unaligned(scores + j);
    total += share;
  }
  for (; j < padded; j += lanes) V(T(0)).store_unaligned(scores + j);
  return sum_lanes(total);
}

// A block of queries, the first of them `at` in the space, and a packed block of keys and values.
template <class T, class Arch>
void attend_block(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                  const ForwardHead<T>& head, const ForwardSpace<T>& space, Range queries,
                  int64_t at, Range keys, bool values_finite) {
  using V = Vec<T, Arch>;
  using Plan = AttentionPlan<T, Arch>;
  const Permitted some = permitted<T, Arch>(call, head.mask, queries, keys);
  if (some == Permitted::none) return;
  const int64_t rows = queries.size(), stride = plan.key_stride;
  const auto open_to = [&](int64_t i)
                           REGRAD_LAMBDA { return keys_open_to(call, queries.begin + i, keys); };
  multiply<T, Arch>(
      {space.q + at * plan.query_stride, plan.query_stride, 1, space.keys, Plan::panel,
       call.depth * Plan::panel},
      rows, ceil_div(keys.size(), Plan::panel),
      [&](int64_t, int64_t end, int64_t panel) REGRAD_LAMBDA {
        return open_to(end - 1) > panel * Plan::panel ? Range{0, call.depth} : skipped;
      },
      [&](int64_t i, int64_t j, V score)
          REGRAD_LAMBDA { score.store_unaligned(space.scores + i * stride + j); });
  for (int64_t i = 0; i < rows; ++i) {
    T* const scores = space.scores + i * stride;
    const int64_t open = open_to(i), query = queries.begin + i;
    if (head.bias) {
      add_bias<T, Arch>(open, scores,
                        head.bias + query * call.bias.row + keys.begin * call.bias.column,
                        call.bias.column);
    }
    if (some == Permitted::some) {
      close(open, scores, head.mask + query * call.mask.row + keys.begin * call.mask.column,
            call.mask.column, -infinity<T>());
    }
    const T most = greatest_of<T, Arch>(open, scores, space.most[at + i]);
    space.factor[at + i] = space.most[at + i] - shift_for(most);
    space.most[at + i] = most;
  }
  for (int64_t i = at; i < at + rows; i += plan.lanes) {
    const V factor = exp_nonpositive_fast<T, Arch>(V::load_unaligned(space.factor + i));
    factor.store_unaligned(space.factor + i);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t open = open_to(i), padded = min(open + Plan::tile, keys.size());
    T& sum = space.sum[at + i];
    sum = sum * space.factor[at + i] +
          weigh_row<T, Arch>(open, padded, space.scores + i * stride, space.most[at + i]);
  }
  const Factors<T> weighted{space.scores, stride,      1,
                            space.values, Plan::panel, keys.size() * Plan::panel};
  const auto span = [&](int64_t, int64_t end, int64_t) REGRAD_LAMBDA {
    const int64_t open = open_to(end - 1);
    return open > 0 ? Range{0, open} : skipped;
  };
  const auto finish = [&](int64_t i, int64_t j, V sum) REGRAD_LAMBDA {
    T* const to = space.out + (at + i) * plan.width_stride + j;
    multiply_add(V::load_unaligned(to), V(space.factor[at + i]), sum).store_unaligned(to);
  };
  values_finite ? multiply<T, Arch>(weighted, rows, plan.width_panels, span, finish)
                : multiply_nonzero<T, Arch>(weighted, rows, plan.width_panels, span, finish);
}

template <class T, class Arch>
void write_output(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
                  const ForwardHead<T>& head, const ForwardSpace<T>& space, Range queries) {
  for (int64_t i = 0; i < queries.size(); ++i) {
    const T sum = space.sum[i];
    const T by = sum == 0 ? T(0) : 1 / sum;
    const T* from = space.out + i * plan.width_stride;
    T* to = head.out + (queries.begin + i) * call.out.row;
    for (int64_t j = 0; j < call.width; j += lanes_of<T, Arch>) {
      store<T, Arch>(to + j, call.width - j,
                     Vec<T, Arch>::load_unaligned(from + j) * Vec<T, Arch>(by));
    }
    if (head.softmax == nullptr) continue;
    T* const saved = head.softmax + (queries.begin + i) * call.softmax.row;
    saved[0] = shift_for(space.most[i]);
    saved[1] = by;
  }
}

// Some queries of one member of the batch, and all keys.
template <class T, class Arch>
void attend(const AttentionCall<T>& call, const AttentionPlan<T, Arch>& plan,
            const ForwardHead<T>& head, Range queries) {
  using Plan = AttentionPlan<T, Arch>;
  const auto space = carve<ForwardSpace<T>>(Scratch::attention, plan, queries.size());
  const int64_t padded = queries.size() + Plan::tile;
  copy_rows<T, Arch>({head.q + queries.begin * call.q.row, call.q.row, queries.size(), call.depth},
                     space.q, plan.query_stride, Plan::tile, call.scale);
  for (int64_t i = 0; i < padded; ++i) {
    space.most[i] = -infinity<T>();
    space.sum[i] = space.factor[i] = 0;
  }
  for (int64_t i = 0; i < padded * plan.width_stride; ++i) space.out[i] = 0;
  const int64_t end = call.causal ? min(queries.end, call.keys) : call.keys;
  for (int64_t first = 0; first < end; first += plan.key_block) {
    const Range keys{first, min(first + plan.key_block, end)};
    if (permitted<T, Arch>(call, head.mask, queries, keys) == Permitted::none) continue;
    pack<T, Arch>(head.k + first * call.k.row, 1, call.k.row, call.depth, keys.size(), space.keys,
                  Plan::panel, call.depth * Plan::panel);
    pack<T, Arch>(head.v + first * call.v.row, call.v.row, 1, keys.size(), call.width, space.values,
                  Plan::panel, keys.size() * Plan::panel);
    const bool values_finite =
        !has_closed_keys(call) ||
        all_finite<T, Arch>(head.v + first * call.v.row, call.v.row, keys.size(), call.width);
    int64_t begin = queries.begin;
    if (call.causal && first > begin)
      begin += (first - begin) / Plan::query_block * Plan::query_block;
    for (; begin < queries.end; begin += Plan::query_block) {
      attend_block(call, plan, head, space,
                   {begin, min(begin + Plan::query_block, queries.end)}, begin - queries.begin,
                   keys, values_finite);
    }
  }
  write_output(call, plan, head, space, queries);
}

template <class T, class Arch>
void attention(const AttentionCall<T>& call) {
  using Plan = AttentionPlan<T, Arch>;
  const Plan plan(call);
  if (plan.batches == 0 || call.queries == 0) return;
  // What is packed of the keys serves all queries of a chunk, so that fewer of them cost more.
  const int64_t most = 8 * Plan::query_block;
  const int64_t shared_out = ceil_div(call.queries * plan.batches, Plan::wanted_chunks);
  const int64_t rows =
      ceil_div(max(min(shared_out, most), 1), Plan::query_block) * Plan::query_block;
  const int64_t parts = ceil_div(call.queries, rows);
  const int64_t units = plan.batches * parts;
  const int64_t group = plan.group_of(plan.operations * 2 / static_cast<double>(parts), units);
  parallel_for(ceil_div(units, group), [&](int64_t chunk) {
    for (int64_t unit = chunk * group; unit < min((chunk + 1) * group, units); ++unit) {
      const int64_t first = unit % parts * rows;
      attend(call, plan, ForwardHead<T>(call, unit / parts),
             {first, min(first + rows, call.queries)});
    }
  });
}

}  // namespace regrad::simd

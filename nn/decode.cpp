#include "nn/decode.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "autograd/check.h"
#include "nn/init.h"
#include "nn/recurrent.h"
#include "ops/ops.h"

namespace regrad::nn {
namespace {

// One step's outputs, on the host.
struct Scores {
  std::vector<double> logits, normaliser;  // [rows, vocabulary], [rows]
  std::vector<float> weights;              // [rows, width]
  int64_t vocabulary = 0, width = 0;

  explicit Scores(const StepOutput& out) {
    logits = out.logits.to_vector<double>();
    normaliser = logsumexp(out.logits, 1).to_vector<double>();
    if (out.weights.defined()) weights = out.weights.to_vector<float>();
    vocabulary = out.logits.size(1);
    if (out.weights.defined()) width = out.weights.size(1);
    for (const double sum : normaliser) {
      check(std::isfinite(sum), "decode: the logits of a row are not finite (log-sum-exp {})", sum);
    }
  }
  const double* row(size_t i) const { return &logits[i * static_cast<size_t>(vocabulary)]; }
  std::vector<float> attention(size_t i, int64_t length) const {
    const auto start = weights.begin() + static_cast<int64_t>(i) * width;
    return std::vector<float>(start, start + std::min(length, width));
  }
};

// Calls a step model, which is the user's code, and checks what it returns.
class CheckedModel {
 public:
  CheckedModel(StepModel& model, const std::vector<int64_t>& lengths, const DecodeOptions& options)
      : model_(model), eos_(options.eos) {
    for (const int64_t length : lengths) {
      check(length >= 0, "decode: a source has the length {}; it must be 0 or more", length);
      longest_ = std::max(longest_, length);
    }
  }

  Scores next(const std::vector<int64_t>& ids) {
    const auto rows = static_cast<int64_t>(ids.size());
    const StepOutput out = model_.step(tensor(ids, {rows}));
    check_matrix("logits", out.logits, rows, vocabulary_);
    check(vocabulary_ > std::max<int64_t>(eos_, 0),
          "decode: a model gave logits of {} tokens; the token that ends a sequence is {}",
          vocabulary_, eos_);
    check(first_ || has_weights_ == out.weights.defined(),
          "decode: a model gave weights in one step and none in another");
    has_weights_ = out.weights.defined();
    first_ = false;
    if (has_weights_) {
      check_matrix("weights", out.weights, rows, width_);
      check(width_ >= longest_, "decode: a model gave weights of {} positions for a source of {}",
            width_, longest_);
    }
    return Scores(out);
  }

 private:
  // x must be [rows, size]; size is -1 before the first step, and the same at each one after it.
  static void check_matrix(const char* what, const Tensor& x, int64_t rows, int64_t& size) {
    check(x.defined(), "decode: a model gave no {}", what);
    check(is_float(x.dtype()) && x.rank() == 2 && x.size(0) == rows &&
              (size < 0 || x.size(1) == size),
          "decode: a model gave {} {} {}; they must be floats [{}, {}]", what, x.dtype(), x.shape(),
          rows, size < 0 ? "any" : std::to_string(size));
    size = x.size(1);
  }

  StepModel& model_;
  int64_t eos_, longest_ = 0, vocabulary_ = -1, width_ = -1;
  bool first_ = true, has_weights_ = false;
};

double penalty(int64_t length, double alpha) {
  return std::pow((5 + static_cast<double>(length)) / 6, alpha);
}

Tensor attention_of(const std::vector<std::vector<float>>& rows, int64_t length) {
  std::vector<float> values;
  for (const std::vector<float>& row : rows) values.insert(values.end(), row.begin(), row.end());
  const int64_t width = rows.empty() ? length : static_cast<int64_t>(rows.front().size());
  return tensor(values, {static_cast<int64_t>(rows.size()), width});
}

struct Candidate {
  double log_probability;
  size_t parent;  // among the open hypotheses
  int64_t token;
  bool operator<(const Candidate& other) const {  // the better first; ties by parent, then by token
    if (log_probability != other.log_probability) return log_probability > other.log_probability;
    return parent != other.parent ? parent < other.parent : token < other.token;
  }
};

// The search for one sentence. Its hypotheses are paths in a tree, which share their beginnings.
class SentenceBeam {
 public:
  struct Open {
    size_t node, parent;  // its last token; which open hypothesis it continues
    double log_probability;
  };

  SentenceBeam(const DecodeOptions& options, int64_t source_length)
      : options_(options), source_length_(source_length), nodes_{{0, options.bos, {}}} {
    open_.push_back({0, 0, 0});
  }

  const std::vector<Open>& open() const { return open_; }
  int64_t token(const Open& open) const { return nodes_[open.node].token; }

  // Continues every open hypothesis; the model's rows of this sentence begin at `first`.
  void advance(const Scores& scores, size_t first) {
    ++length_;
    const std::vector<Candidate> best = candidates(scores, first);
    std::vector<Open> next;
    for (size_t rank = 0; rank < best.size(); ++rank) {
      const Candidate& chosen = best[rank];
      const bool ends = chosen.token == options_.eos;
      if (ends ? rank >= beam() : next.size() >= beam()) continue;
      nodes_.push_back({open_[chosen.parent].node, chosen.token,
                        scores.attention(first + chosen.parent, source_length_)});
      const Open added = {nodes_.size() - 1, chosen.parent, chosen.log_probability};
      if (ends) {
        closed_.push_back(close(added, true));
      } else {
        next.push_back(added);
      }
    }
    open_ = std::move(next);
    if (is_done()) open_.clear();
  }

  std::vector<Hypothesis> take() {
    for (const Open& open : open_) closed_.push_back(close(open, false));
    std::stable_sort(closed_.begin(), closed_.end(), [](const Hypothesis& a, const Hypothesis& b) {
      return a.finished != b.finished ? a.finished : a.score > b.score;
    });
    closed_.resize(std::min(closed_.size(), static_cast<size_t>(options_.n_best)));
    return std::move(closed_);
  }

 private:
  struct Node {
    size_t parent;
    int64_t token;
    std::vector<float> attention;
  };

  size_t beam() const { return static_cast<size_t>(options_.beam); }

  // The 2 beam best: at most `beam` of them can be <eos>, so that `beam` others are left.
  std::vector<Candidate> candidates(const Scores& scores, size_t first) const {
    std::vector<Candidate> best;  // a heap: the worst of the best is at its front
    for (size_t parent = 0; parent < open_.size(); ++parent) {
      const double* logits = scores.row(first + parent);
      const double before = open_[parent].log_probability - scores.normaliser[first + parent];
      for (int64_t token = 0; token < scores.vocabulary; ++token) {
        const Candidate candidate = {before + logits[token], parent, token};
        if (!std::isfinite(candidate.log_probability)) continue;  // the model rules it out
        if (best.size() == 2 * beam()) {
          if (!(candidate < best.front())) continue;
          std::pop_heap(best.begin(), best.end());
          best.pop_back();
        }
        best.push_back(candidate);
        std::push_heap(best.begin(), best.end());
      }
    }
    std::sort_heap(best.begin(), best.end());
    return best;
  }

  Hypothesis close(const Open& last, bool finished) const {
    Hypothesis hypothesis;
    std::vector<std::vector<float>> rows;
    for (size_t node = last.node; node != 0; node = nodes_[node].parent) {
      rows.push_back(nodes_[node].attention);
      if (nodes_[node].token != options_.eos) hypothesis.ids.push_back(nodes_[node].token);
    }
    std::reverse(rows.begin(), rows.end());
    std::reverse(hypothesis.ids.begin(), hypothesis.ids.end());
    hypothesis.finished = finished;
    hypothesis.log_probability = last.log_probability;
    hypothesis.score = last.log_probability / penalty(length_, options_.length_penalty);
    hypothesis.attention = attention_of(rows, source_length_);
    return hypothesis;
  }

  // The best score that an open hypothesis can still reach, if further tokens cost it nothing: at
  // any length, or once `beam` have finished, at its present one.
  double bound(const Open& open) const {
    const bool may_grow = options_.length_penalty > 0 && closed_.size() < beam();
    const int64_t length = may_grow ? options_.max_length : length_ + 1;
    return open.log_probability / penalty(length, options_.length_penalty);
  }

  bool is_done() const {
    const auto wanted = static_cast<size_t>(options_.n_best);
    if (closed_.size() < wanted) return false;
    std::vector<double> scores;
    for (const Hypothesis& hypothesis : closed_) scores.push_back(hypothesis.score);
    std::sort(scores.rbegin(), scores.rend());
    return std::all_of(open_.begin(), open_.end(),
                       [&](const Open& open) { return bound(open) <= scores[wanted - 1]; });
  }

  const DecodeOptions& options_;
  int64_t source_length_, length_ = 0;
  std::vector<Node> nodes_;  // the first is <bos>
  std::vector<Open> open_;
  std::vector<Hypothesis> closed_;
};

void check_options(const DecodeOptions& o) {
  check(o.eos >= -1, "decode: eos is {}; it must be a token, or -1 for none", o.eos);
  check(o.max_length >= 0, "decode: max_length is {}; it must be 0 or more", o.max_length);
  check(o.beam >= 1 && o.beam <= 1000000 && o.n_best >= 1,
        "decode: beam is {} and n_best {}; both must be 1 or more, and a beam at most 1000000",
        o.beam, o.n_best);
  check(std::isfinite(o.length_penalty), "decode: length_penalty is {}; it must be finite",
        o.length_penalty);
  check(o.temperature >= 0 && std::isfinite(o.temperature) && o.top_k >= 0 && o.top_p > 0 &&
            o.top_p <= 1,
        "decode: temperature is {}, top_k {} and top_p {}; they must be 0 or more, 0 or more, and "
        "above 0 up to 1",
        o.temperature, o.top_k, o.top_p);
}

bool is_identity(const std::vector<int64_t>& rows, size_t count) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != static_cast<int64_t>(i)) return false;
  }
  return rows.size() == count;
}

// The model goes on with these of its `count` rows.
void keep(StepModel& model, const std::vector<int64_t>& rows, size_t count) {
  if (rows.empty() || is_identity(rows, count)) return;
  model.keep(tensor(rows, {static_cast<int64_t>(rows.size())}));
}

// A token from softmax(logits / temperature), cut to top_k and top_p; uniform is in [0, 1).
int64_t draw(const double* logits, int64_t count, const DecodeOptions& options, double uniform) {
  if (options.temperature == 0) return std::max_element(logits, logits + count) - logits;
  std::vector<int64_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), int64_t{0});
  if (options.top_k > 0 || options.top_p < 1) {
    std::stable_sort(tokens.begin(), tokens.end(),
                     [&](int64_t a, int64_t b) { return logits[a] > logits[b]; });
  }
  if (options.top_k > 0 && options.top_k < count) tokens.resize(static_cast<size_t>(options.top_k));
  const double largest = *std::max_element(logits, logits + count);
  std::vector<double> weights;
  double total = 0;
  for (const int64_t token : tokens) {
    weights.push_back(std::exp((logits[token] - largest) / options.temperature));
    total += weights.back();
  }
  size_t kept = tokens.size();
  if (options.top_p < 1) {
    double sum = 0;
    kept = 0;
    while (kept < tokens.size() && sum < options.top_p * total) sum += weights[kept++];
  }
  return tokens[pick({weights.data(), kept}, uniform)];
}

// One of the sequences that sample() draws.
struct Sample {
  size_t sentence;
  int64_t source_length;
  uint64_t seed, number;  // the sentence's stream, and the index of this sample among its own
  Hypothesis hypothesis = {};
  std::vector<std::vector<float>> attention = {};

  // Its token at step t, from a row of the scores.
  void draw_next(const Scores& scores, size_t row, uint64_t t, const DecodeOptions& options) {
    const uint64_t counter = t * static_cast<uint64_t>(options.n_best) + number;
    const double uniform = uniform_number(seed, counter);
    const int64_t token = draw(scores.row(row), scores.vocabulary, options, uniform);
    hypothesis.log_probability += scores.row(row)[token] - scores.normaliser[row];
    attention.push_back(scores.attention(row, source_length));
    hypothesis.finished = token == options.eos;
    if (!hypothesis.finished) hypothesis.ids.push_back(token);
  }

  Hypothesis take(const DecodeOptions& options) {
    const auto length = static_cast<int64_t>(attention.size());
    hypothesis.score = hypothesis.log_probability / penalty(length, options.length_penalty);
    hypothesis.attention = attention_of(attention, source_length);
    return std::move(hypothesis);
  }
};

}  // namespace

std::vector<int64_t> source_lengths(const Tensor& source, const Tensor& lengths) {
  check(source.defined() && source.rank() == 2, "decode: the source must be [batch, time], not {}",
        source.defined() ? source.shape() : Shape());
  if (lengths.defined()) {
    check_lengths("decode", lengths, source.size(0), source.size(1));
    return lengths.to_vector<int64_t>();
  }
  return std::vector<int64_t>(static_cast<size_t>(source.size(0)), source.size(1));
}

Hypotheses beam_search(StepModel& model, const std::vector<int64_t>& lengths,
                       const DecodeOptions& options) {
  check_options(options);
  check(options.n_best <= options.beam, "decode: n_best is {}; a beam of {} gives at most {}",
        options.n_best, options.beam, options.beam);
  CheckedModel checked(model, lengths, options);
  std::vector<SentenceBeam> beams;
  for (const int64_t length : lengths) beams.emplace_back(options, length);
  std::vector<int64_t> ids(lengths.size(), options.bos);
  for (int64_t t = 0; t < options.max_length && !ids.empty(); ++t) {
    const Scores scores = checked.next(ids);
    std::vector<int64_t> rows;
    std::vector<int64_t> next;
    size_t first = 0;
    for (SentenceBeam& beam : beams) {
      const size_t count = beam.open().size();
      if (count == 0) continue;
      beam.advance(scores, first);
      for (const SentenceBeam::Open& open : beam.open()) {
        rows.push_back(static_cast<int64_t>(first + open.parent));
        next.push_back(beam.token(open));
      }
      first += count;
    }
    keep(model, rows, ids.size());
    ids = std::move(next);
  }
  Hypotheses all;
  for (SentenceBeam& beam : beams) all.push_back(beam.take());
  return all;
}

Hypotheses sample(StepModel& model, const std::vector<int64_t>& lengths,
                  const DecodeOptions& options, Generator& generator) {
  check_options(options);
  CheckedModel checked(model, lengths, options);
  std::vector<Sample> samples;
  std::vector<int64_t> ids, rows;
  std::vector<size_t> open;  // the sample of each row of the model
  for (size_t sentence = 0; sentence < lengths.size(); ++sentence) {
    const uint64_t seed = fork(generator).seed();
    for (uint64_t number = 0; number < static_cast<uint64_t>(options.n_best); ++number) {
      rows.push_back(static_cast<int64_t>(sentence));
      open.push_back(samples.size());
      samples.push_back({sentence, lengths[sentence], seed, number});
    }
  }
  keep(model, rows, lengths.size());
  for (int64_t t = 0; t < options.max_length && !open.empty(); ++t) {
    ids.clear();
    for (const size_t i : open) {
      ids.push_back(t == 0 ? options.bos : samples[i].hypothesis.ids.back());
    }
    const Scores scores = checked.next(ids);
    std::vector<size_t> still_open;
    rows.clear();
    for (size_t row = 0; row < open.size(); ++row) {
      Sample& drawn = samples[open[row]];
      drawn.draw_next(scores, row, static_cast<uint64_t>(t), options);
      if (drawn.hypothesis.finished) continue;
      still_open.push_back(open[row]);
      rows.push_back(static_cast<int64_t>(row));
    }
    keep(model, rows, open.size());
    open = std::move(still_open);
  }
  Hypotheses all(lengths.size());
  for (Sample& drawn : samples) all[drawn.sentence].push_back(drawn.take(options));
  return all;
}

}  // namespace regrad::nn

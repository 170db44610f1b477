// The tutorial's equations with numbers, its descent, its two classes, and what they teach.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>

#include "autograd/check.h"
#include "examples/attention/commands.h"
#include "examples/runs/terminal.h"
#include "nn/nn.h"
#include "ops/ops.h"
#include "optim/optim.h"

namespace regrad::example {
namespace {

constexpr int64_t positions = 4, width = 3;

struct NamedScore {
  const char *name, *library_name, *formula;
};
constexpr NamedScore scores[] = {{"additive", "additive", "v . tanh(W h_i + b + U h_j)"},
                                 {"dot", "dot", "h_i . h_j"},
                                 {"scaled", "scaled_dot", "h_i . h_j / sqrt(H)"},
                                 {"general", "general", "h_i . W h_j"},
                                 {"location", "location", "(W h_i + b)_j"},
                                 {"distance", "distance", "-|h_i - h_j|^2"},
                                 {"cosine", "cosine", "h_i . h_j / (|h_i| |h_j|)"}};

Tensor hidden_states() {
  return tensor({1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.0, 0.5, 1.0, -0.5, 0.0, 0.5}, {positions, width});
}

// What learns: P, which begins as the identity, and the numbers of the score function itself. With
// P every function has something to learn: s(i,j) = f(P h_i, P h_j).
struct Learner {
  nn::Linear projection;
  nn::ScoreFunction score;

  Learner(const NamedScore& named, uint64_t seed) : Learner(named, Generator(seed)) {}
  Tensor operator()(const Tensor& query, const Tensor& key) const {
    return std::visit([&](const auto& f) { return f(projection(query), projection(key)); }, score);
  }
  void visit(auto&& each) {
    each("projection", projection);
    each("score", score);
  }

 private:
  Learner(const NamedScore& named, Generator generator)
      : projection(width, width, {.bias = false}, generator),
        score(nn::make_score(named.library_name, {.hidden = width, .max_length = positions},
                             generator)) {
    nn::to(*this, float64);
    const NoGrad guard;
    projection.weight.copy_(eye(width, {.dtype = float64}));
  }
};

Tensor loss_of(const nn::SelfAttentionOutput& attention, const Tensor& h) {
  return nn::attention_variance_loss(attention.weights, h, attention.outputs);
}

double largest(const Tensor& x) { return max(abs(x)).item<double>(); }
double smallest_row_maximum(const Tensor& weights) { return min(max(weights, -1)).item<double>(); }

std::string row(const std::vector<double>& values, size_t start, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += fmt::format(" {:7.3f}", values[start + i]);
  return text;
}

void print_matrix(const Tensor& matrix) {
  const std::vector<double> values = matrix.to_vector<double>();
  const auto columns = static_cast<size_t>(matrix.size(-1));
  for (size_t start = 0; start < values.size(); start += columns) {
    std::cout << "   " << row(values, start, columns) << "\n";
  }
}

void print_equations(const NamedScore& named, uint64_t seed) {
  const NoGrad guard;
  const Tensor h = hidden_states();
  const Learner learner(named, seed);
  const Tensor batch = unsqueeze(h, 0);
  const nn::SelfAttentionOutput attention = nn::self_attention(h, learner);
  std::cout << "1. The equations, with f = " << named.name << "\n\n"
            << fmt::format("h: {} positions of {} numbers\n", positions, width);
  print_matrix(h);
  std::cout << "s(i,j) = f(h_i, h_j) = " << named.formula << "\n";
  print_matrix(select(learner(batch, batch), 0, 0));
  std::cout << "a(i,j) = exp s(i,j) / sum_k exp s(i,k): each row sums to 1\n";
  print_matrix(attention.weights);
  std::cout << "o(i) = sum_j a(i,j) h_j\n";
  print_matrix(attention.outputs);
  std::cout << "O = sum_i o(i)\n";
  print_matrix(attention.summary);
  std::cout << fmt::format("L = sum_i sum_j a(i,j) |h_j - o(i)|^2 = {:.4f}\n\n",
                           loss_of(attention, h).item<double>());
}

struct Training : optim::Descent {
  double first_loss = 0, first_weight = 0, last_weight = 0;
  Tensor weights;
};

// theta <- theta - alpha grad L, until L is under the threshold or the iterations are used up.
Training follow_gradient(const NamedScore& named, const TutorialOptions& options, bool print) {
  const Tensor h = hidden_states();
  const Learner learner(named, options.seed);
  optim::SGD optimiser(nn::parameters(learner), {.lr = options.lr});
  Training training;
  int64_t iteration = 0, next_line = 0;
  const auto loss = [&] {
    const nn::SelfAttentionOutput attention = nn::self_attention(h, learner);
    Tensor value = loss_of(attention, h);
    training.weights = attention.weights.detach();
    training.last_weight = smallest_row_maximum(training.weights);
    if (iteration == 0) {
      training.first_loss = value.item<double>();
      training.first_weight = training.last_weight;
    }
    if (print && iteration == next_line) {
      std::cout << fmt::format("  {:9}   {:8.4f}   {:.3f}\n", iteration, value.item<double>(),
                               training.last_weight);
      next_line = std::max<int64_t>(1, 2 * iteration);
    }
    ++iteration;
    return value;
  };
  static_cast<optim::Descent&>(training) = optim::descend(
      loss, optimiser, {.threshold = options.threshold, .max_iterations = options.iterations});
  return training;
}

void print_descent(const NamedScore& named, const TutorialOptions& options) {
  std::cout << fmt::format(
      "2. Descent: theta <- theta - {} grad L, until L is under the threshold {} or after {} "
      "iterations\n   theta: P in s(i,j) = f(P h_i, P h_j), and what f itself has to learn\n\n"
      "  iteration          L   smallest of the rows' largest weights\n",
      options.lr, options.threshold, options.iterations);
  const Training training = follow_gradient(named, options, true);
  std::cout << fmt::format("  stopped after {} iterations, L = {:.4f}: {}\n  the weights now:\n",
                           training.iterations, training.loss,
                           training.reached ? "under the threshold" : "the iterations are used up");
  print_matrix(training.weights);
  std::cout << "\n";
}

void print_classes(uint64_t seed) {
  const NoGrad guard;
  Generator generator(seed);
  const Tensor x = randn({2, 5, 4}, generator);
  const Tensor mask = length_mask(tensor({5, 3}, {2}), 5);
  const nn::Seq2SeqModel model(4, 6, 3, generator);
  const nn::Seq2SeqModelOutput result = model.steps(x, mask);
  std::cout
      << "3. The classes Attention and Seq2SeqModel\n\n"
         "  As published, bmm gets 4-D tensors and raises, the mask is never used, and joining\n"
         "  [B,1,O] to [B,T,H] needs O = H. The form that runs, with a second sequence of\n"
         "  length 3 in 5 places:\n"
      << "  x " << x.shape().str() << "  ->  outputs " << result.outputs.shape().str()
      << "; the memory grows by one position a step:\n";
  for (const Tensor& weights : result.weights) {
    std::cout << "    weights " << weights.shape().str() << ", of the second sequence:"
              << row(select(weights, 0, 1).to_vector<double>(), 0,
                     static_cast<size_t>(weights.size(1)))
              << "\n";
  }
  std::cout << "\n";
}

// The loss, as it is and with its bias moved, of the tutorial's layer on random states.
void print_bias_fact(uint64_t seed) {
  Generator generator(seed);
  const Tensor h = randn({2, 5, width}, generator, {.dtype = float64});
  nn::Attention attention(width, generator);
  nn::to(attention, float64);
  const auto loss = [&] {
    const Tensor weights = attention(h).weights;
    return sum(square(bmm(transpose(weights), h)));
  };
  loss().backward();
  const double step = 1e-3;
  const auto moved = [&](double shift) {
    const NoGrad guard;
    attention.linear.bias.add_(scalar(shift, float64));
    const double value = loss().item<double>();
    attention.linear.bias.add_(scalar(-shift, float64));
    return value;
  };
  const double difference = (moved(step) - moved(-step)) / (2 * step);
  std::cout << fmt::format(
      "  (1) The bias of Linear(H,1) before the softmax learns nothing: a softmax ignores a shift\n"
      "      of all its scores.\n"
      "        gradient of the bias {:.1e}, by finite differences {:.1e} (zero but for rounding)\n"
      "        gradient of the weight up to {:.4f}\n\n",
      attention.linear.bias.grad().item<double>(), difference,
      largest(attention.linear.weight.grad()));
}

// The largest difference that it makes to any gradient when o(i) is taken as a constant in L.
double difference_through_outputs(const NamedScore& named, uint64_t seed, double row_sum) {
  const Tensor h = hidden_states();
  const Learner learner(named, seed);
  const auto gradients = [&](bool detach) {
    const Tensor weights = nn::self_attention(h, learner).weights * row_sum;
    const Tensor outputs = matmul(weights, h);
    const Tensor loss =
        nn::attention_variance_loss(weights, h, detach ? outputs.detach() : outputs);
    return grad({loss}, nn::parameters(learner), {.allow_unused = true});
  };
  const std::vector<Tensor> whole = gradients(false), part = gradients(true);
  double difference = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].defined()) difference = std::max(difference, largest(whole[i] - part[i]));
  }
  return difference;
}

void print_facts(const NamedScore& named, const TutorialOptions& options) {
  std::cout << "4. Three facts\n\n";
  print_bias_fact(options.seed);
  std::cout << fmt::format(
      "  (2) In L no gradient flows through o(i) while the rows of a sum to 1:\n"
      "      dL/do(i) = -2 sum_j a(i,j) (h_j - o(i)) = -2 (o(i) - o(i)) = 0.\n"
      "        gradients with o(i) detached differ by {:.1e} where rows sum to 1,\n"
      "        and by {:.4f} where they are made to sum to 0.9\n\n",
      difference_through_outputs(named, options.seed, 1),
      difference_through_outputs(named, options.seed, 0.9));
  const Tensor h = hidden_states();
  const auto loss_with = [&](const Tensor& weights) {
    return nn::attention_variance_loss(weights, h, matmul(weights, h)).item<double>();
  };
  const Tensor one_place =
      tensor({1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0}, {positions, positions}).to(float64);
  std::cout << fmt::format(
      "  (3) L is the spread of what each position attends to, so it is least when all weight "
      "sits\n"
      "      on one position, whichever: it shows descent, not usefulness.\n"
      "        L with equal weights {:.4f}, with each row on one place picked at random {:.4f}\n\n",
      loss_with(full({positions, positions}, 1.0 / positions, {.dtype = float64})),
      loss_with(one_place));
}

void print_table(const TutorialOptions& options, const std::vector<NamedScore>& chosen) {
  std::cout << "   f          s(i,j)                       L before    after  iterations  "
               "weight before  after  (2)\n";
  for (const NamedScore& named : chosen) {
    const Training training = follow_gradient(named, options, false);
    std::cout << fmt::format("   {:9}  {:27} {:9.4f} {:8.4f} {:11}  {:13.3f} {:6.3f}  {:.0e}\n",
                             named.name, named.formula, training.first_loss, training.loss,
                             training.iterations, training.first_weight, training.last_weight,
                             difference_through_outputs(named, options.seed, 1));
  }
  std::cout
      << "\n   weight: the smallest of the rows' largest weights; towards 1, each row sits on one\n"
         "   position. Cosine scores lie in [-1, 1], so their softmax cannot.\n"
         "\nWhat attention is good for shows in a real task: `"
      << printable(program) << " train`.\n";
}

}  // namespace

int run_tutorial(const TutorialOptions& options) {
  std::vector<NamedScore> chosen;
  for (const NamedScore& named : scores) {
    if (options.score == "all" || options.score == named.name) chosen.push_back(named);
  }
  const NamedScore& shown = options.score == "all" ? scores[1] : chosen.front();
  print_equations(shown, options.seed);
  print_descent(shown, options);
  print_classes(options.seed);
  print_facts(shown, options);
  print_table(options, chosen);
  return 0;
}

}  // namespace regrad::example

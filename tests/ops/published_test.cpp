// Numbers that another library gives for the same calls: value, and gradient of x for the weights
// 1, 2, 3, ... of the outputs.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

using Doubles = std::vector<double>;

struct Published {
  const char* name;
  Function op;
  Doubles value, gradient;
};

Tensor some_weight() { return tensor({0.1, -0.2, 0.3, 0.4, 0.5, -0.6}, {2, 3}); }

const Published published[] = {
    {"softmax",
     OP(softmax(x[0], 1)),
     {0.09003057317, 0.2447284711, 0.6652409558, 0.006497943316, 0.02912176154, 0.9643802951},
     {-0.1418170936, -0.1407703575, 0.2825874511, -0.01272220854, -0.02789522143, 0.04061742997}},
    {"gelu",
     OP(gelu(x[0])),
     {0.8413447461, 1.954499736, 2.995950306, -0.1586552539, 0.3457312306, 3.999873315},
     {1.083315471, 2.170463602, 3.035836942, -0.3332618824, 4.337475623, 6.003021898}},
    {"layer_norm",
     OP(layer_norm(x[0], tensor({1.0, 2.0, 3.0}, {3}), tensor({0.5, 0.25, -1.0}, {3}))),
     {-0.7247356859, 0.25, 2.674207058, -0.5342232912, -0.3864451023, 3.057337527},
     {0.4081717456, -0.8164904573, 0.4083187117, -0.3806650046, 0.5437960663, -0.1631310617}},
    {"cross_entropy, smoothed",
     OP(cross_entropy(x[0], tensor({2, 0}, {2}), {.label_smoothing = 0.1})),
     {2.663604431},
     {0.02834861992, 0.1056975689, -0.1340461888, -0.463417695, -0.002105785898, 0.4655234809}},
    {"linear",
     OP(linear(x[0], some_weight())),
     {0.6, -0.4, 1.0, -2.55},
     {0.9, 0.8, -0.9, 1.9, 1.4, -1.5}},
    {"scaled_dot_product_attention",
     OP(scaled_dot_product_attention(x[0], some_weight(), tensor({1.0, 2.0, 3.0, -4.0}, {2, 2}))),
     {1.719085049, -0.1572551459, 1.228186934, 1.315439199},
     {-0.3988422797, -0.9306319859, 1.196526839, -0.3151242416, -0.735289897, 0.9453727247}},
    {"logsumexp",
     OP(logsumexp(x[0], 0)),
     {1.126928011, 2.201413278, 4.313261688},
     {0.880797078, 1.635148952, 0.8068242641, 0.119202922, 0.3648510476, 2.193175736}},
    {"var",
     OP(var(x[0], 1)),
     {1.0, 6.583333333},
     {-1.0, 0.0, 1.0, -4.333333333, -1.333333333, 5.666666667}},
    {"silu",
     OP(silu(x[0])),
     {0.7310585786, 1.761594156, 2.85772238, -0.2689414214, 0.3112296656, 3.92805516},
     {0.9276705119, 2.181568498, 3.264312318, 0.2893179525, 3.699805937, 6.315987689}},
    {"softplus",
     OP(softplus(x[0])),
     {1.313261688, 2.126928011, 3.048587352, 0.3132616875, 0.9740769842, 4.018149928},
     {0.7310585786, 1.761594156, 2.85772238, 1.075765685, 3.112296656, 5.89208274}},
    {"max", OP(max(x[0], 1)), {3.0, 4.0}, {0.0, 0.0, 1.0, 0.0, 0.0, 2.0}},
    {"binary_cross_entropy_with_logits",
     OP(binary_cross_entropy_with_logits(x[0], sigmoid(some_weight()))),
     {1.252618354},
     {0.03434656519, 0.07177184588, 0.063021935, -0.05495770646, 0.0, 0.1046116827}},
    {"pow of abs",
     OP(pow(abs(x[0]), 2.5)),
     {1.0, 5.656854249, 15.58845727, 1.0, 0.1767766953, 32.0},
     {2.5, 14.14213562, 38.97114317, -10.0, 4.419417382, 120.0}},
};

TEST_CASE("published values and gradients") {
  const Tensor x = tensor({1.0, 2.0, 3.0, -1.0, 0.5, 4.0}, {2, 3});
  for (const Published& p : published) {
    INFO(p.name);
    const Tensor y = p.op({x});
    double next = 0;
    const Array g =
        twin::make(Index(y.shape().begin(), y.shape().end()), [&](const Index&) { return ++next; });
    const std::vector<double> value = y.to_vector<double>();
    const std::vector<double> gradient = gradients(p.op, {x}, to_tensor(g))[0].to_vector<double>();
    REQUIRE(value.size() == p.value.size());
    for (size_t i = 0; i < value.size(); ++i) CHECK(std::abs(value[i] - p.value[i]) < 1e-8);
    for (size_t i = 0; i < gradient.size(); ++i)
      CHECK(std::abs(gradient[i] - p.gradient[i]) < 1e-7);
  }
}

TEST_SUITE_END();

}  // namespace

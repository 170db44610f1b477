// A parameter that learns nothing: its value reaches the loss, but detach() stands in the
// gradient's way. Training "works", and one layer stays as it was.
//   REGRAD_TRACE=cut.html build/examples/learn/cut_off
#include <regrad.h>

#include <iostream>

using namespace regrad;

struct Model {
  nn::Linear encoder{3, 4}, head{4, 1}, spare{4, 1};
  Tensor operator()(const Tensor& x) const {
    const Tensor hidden = tanh(encoder(x)).detach();  // the fault
    return head(hidden);
  }
  void visit(auto&& each) {
    each("encoder", encoder);
    each("head", head);
    each("spare", spare);  // not used at all
  }
};

int main() {
  Model model;
  Generator generator(1);
  const Tensor loss = mean(square(model(randn({8, 3}, generator))));
  loss.backward();
  const Audit found = audit(model, loss);
  std::cout << found.str();
  int cut = 0, none = 0;
  for (const AuditRow& row : found.rows) {
    cut += row.verdict == "CUT";
    none += row.verdict == "NONE";
  }
  return cut == 2 && none == 2 ? 0 : 1;  // weight and bias of encoder, and of spare
}

// Attention in one file: a model learns to read a date as people write it ("March 12, 1999") and to
// write it as 1999-03-12, and we look at what it attends to. Encoder and decoder are GRUs, with
// additive attention between them (Bahdanau, Cho and Bengio, ICLR 2015).
#include <regrad.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>

using namespace regrad;

// A token is a character, and its id is its ASCII code: that has codes for start and end of text.
constexpr char padding = 0, start = 2, end = 3;
constexpr int64_t characters = 128, embedding_size = 32, hidden_size = 64, written_length = 11;

struct Dates {
  std::vector<std::string> source, target;
};

// Days from 1970 to 2029. Every tenth day is kept for the test, so training never sees it.
Dates make_dates(size_t count, bool unseen, Generator& generator) {
  const std::string months[] = {"january",   "february", "march",    "april",
                                "may",       "june",     "july",     "august",
                                "september", "october",  "november", "december"};
  const auto random = [&](int64_t n) { return randint(0, n, {}, generator).item<int64_t>(); };
  const auto two = [](unsigned n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  Dates dates;
  while (dates.source.size() < count) {
    const std::chrono::days number(10 * random(2191) + (unseen ? 0 : 1 + random(9)));
    const std::chrono::year_month_day date{std::chrono::sys_days(number)};
    const unsigned m = unsigned(date.month()), d = unsigned(date.day());
    const std::string year = std::to_string(int(date.year())), day = std::to_string(d);
    std::string month = months[m - 1];
    if (random(2) == 0) month[0] = char(month[0] - 'a' + 'A');
    const std::string forms[] = {day + " " + month + " " + year, month + " " + day + ", " + year,
                                 day + " " + month.substr(0, 3) + " " + year,
                                 two(d) + "/" + two(m) + "/" + year};
    dates.source.push_back(forms[random(4)]);
    dates.target.push_back(year + "-" + two(m) + "-" + two(d) + end);
  }
  return dates;
}

// Texts of different lengths in one tensor [texts, longest]: the shorter ones are padded.
Tensor to_ids(std::vector<std::string> texts) {
  size_t longest = 0;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  std::vector<int64_t> ids;
  for (std::string& text : texts) {
    text.resize(longest, padding);
    ids.insert(ids.end(), text.begin(), text.end());
  }
  return tensor(ids, {int64_t(texts.size()), int64_t(longest)});
}

struct Output {
  Tensor logits, weights;  // [batch, written, characters], [batch, written, read]
};

struct Model {
  nn::Embedding embedding{characters, embedding_size, {.padding_idx = padding}};
  nn::GRU encoder{embedding_size, hidden_size, {.bidirectional = true}};
  nn::Linear key{2 * hidden_size, hidden_size}, query{hidden_size, hidden_size};
  nn::Linear energy{hidden_size, 1};
  nn::GRUCell decoder{embedding_size + 2 * hidden_size, hidden_size};
  nn::Linear output{3 * hidden_size, characters};

  // In training each step is given the true character before it, otherwise the one that the model
  // itself found likeliest (greedy decoding).
  Output operator()(const Tensor& source, const Tensor& target = {}) const {
    const Tensor is_padding = source == padding;
    const Tensor states = encoder(embedding(source), {}, sum(!is_padding, 1)).output;
    const Tensor keys = key(states);  // the same for every step
    Tensor previous = full({source.size(0)}, start, {.dtype = int64});
    Tensor hidden = zeros({source.size(0), hidden_size});
    std::vector<Tensor> all_logits, all_weights;
    for (int64_t t = 0; t < written_length; ++t) {
      // How well does each position of the source fit what is to be written next?
      const Tensor scores = squeeze(energy(tanh(unsqueeze(query(hidden), 1) + keys)), 2);
      // Padding is given the score -infinity, and by that the weight 0.
      const Tensor weights = softmax(masked_fill(scores, is_padding, -INFINITY), 1);
      // The context is the mean of the source's states under these weights.
      const Tensor context = squeeze(bmm(unsqueeze(weights, 1), states), 1);
      hidden = decoder(concat({embedding(previous), context}, 1), hidden);
      const Tensor logits = output(concat({hidden, context}, 1));
      previous = target.defined() ? select(target, 1, t) : argmax(logits, 1);
      all_logits.push_back(logits);
      all_weights.push_back(weights);
    }
    return {stack(all_logits, 1), stack(all_weights, 1)};
  }

  void visit(auto&& each) {  // the parts that are trained
    each("embedding", embedding);
    each("encoder", encoder);
    each("key", key);
    each("query", query);
    each("energy", energy);
    each("decoder", decoder);
    each("output", output);
  }
};

// A row for each character that was written, a column for each that was read.
void draw(const std::string& source, const std::string& text, const Tensor& weights) {
  const char* shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
  std::cout << "\n  ";
  for (const char c : source) std::cout << c << ' ';
  for (size_t t = 0; t < text.size(); ++t) {
    std::cout << '\n' << text[t] << ' ';
    const std::vector<float> row = select(weights, 0, int64_t(t)).to_vector<float>();
    for (size_t s = 0; s < source.size(); ++s) std::cout << shades[size_t(4 * row[s] + 0.5f)];
  }
  std::cout << "\n\n";
}

int main() {
  nn::manual_seed(1);
  Generator generator(1);
  Model model;
  optim::Adam adam(nn::parameters(model), {.lr = 5e-3});
  for (int step = 1; step <= 300; ++step) {
    const Dates dates = make_dates(64, false, generator);
    const Tensor target = to_ids(dates.target);
    const Tensor logits = model(to_ids(dates.source), target).logits;
    const Tensor loss = cross_entropy(flatten(logits, 0, 1), flatten(target));
    adam.zero_grad();
    loss.backward();
    adam.step();
    if (step % 50 == 0) std::cout << "step " << step << "  loss " << loss.item<double>() << '\n';
  }

  const NoGrad guard;
  const Dates unseen = make_dates(200, true, generator);
  const Output found = model(to_ids(unseen.source));
  const std::vector<int64_t> ids = argmax(found.logits, 2).to_vector<int64_t>();
  int right = 0;
  for (size_t i = 0; i < 200; ++i) {
    const auto first = ids.begin() + int64_t(i) * written_length;
    const std::string text(first, std::find(first, first + written_length, end));
    if (i == 0) draw(unseen.source[i], text, select(found.weights, 0, 0));
    right += text + end == unseen.target[i];
  }
  std::cout << right << " of 200 unseen dates are right\n";
  return right >= 198 ? 0 : 1;
}

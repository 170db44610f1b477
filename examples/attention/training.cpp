#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <limits>
#include <numbers>

#include "autograd/check.h"
#include "examples/attention/alignment.h"
#include "examples/attention/commands.h"
#include "examples/attention/dates.h"
#include "examples/attention/measure.h"
#include "examples/attention/progress.h"
#include "examples/attention/report.h"
#include "examples/attention/snapshots.h"
#include "ops/backend.h"
#include "optim/optim.h"

namespace regrad::example {
namespace {

constexpr double clip_norm = 1, warmup_share = 0.05;
constexpr size_t measured_often = 200, measured_at_end = 2000;  // held-out pairs
constexpr int64_t measurements = 20;
constexpr size_t samples = 6, maps = 4, watched = 3, examples = 8;
constexpr int64_t spare_tokens = 10;  // a text may be this much longer than any seen

volatile std::sig_atomic_t interrupted = 0;

// The first Ctrl-C ends the training and keeps what was learnt; the second one ends the program.
class StopOnSignal {
 public:
  StopOnSignal() {
    interrupted = 0;
    const auto note = [](int signal) {
      interrupted = signal;
      std::signal(signal, SIG_DFL);
    };
    std::signal(SIGINT, note);
    std::signal(SIGTERM, note);
  }
  ~StopOnSignal() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }
};

struct Task {
  std::string name;
  Split data;
  Tokeniser tokeniser;
};

Task read_task(const TrainOptions& options) {
  Task task;
  task.tokeniser = options.tokens == "word" ? Tokeniser::word : Tokeniser::character;
  std::vector<Pair> pairs;
  if (options.data.empty()) {
    task.name = "date";
    pairs = generate_dates(options.pairs > 0 ? options.pairs : TrainOptions::default_dates,
                           options.seed);
  } else {
    task.name = std::filesystem::path(options.data).stem().string();
    pairs = read_pairs(options.data);
    if (options.pairs > 0 && options.pairs < static_cast<int64_t>(pairs.size())) {
      pairs.resize(static_cast<size_t>(options.pairs));
    }
  }
  task.data = split(pairs, options.held_out, options.seed);
  check(!task.data.train.empty(),
        "train: all {} pairs were held out and none is left to learn from; give more pairs, or a "
        "smaller --held-out than {}",
        pairs.size(), options.held_out);
  return task;
}

Vocabulary vocabulary_of(const std::vector<Pair>& pairs, std::string Pair::*side, Tokeniser form) {
  std::vector<std::string> texts;
  for (const Pair& pair : pairs) texts.push_back(pair.*side);
  // A word seen once teaches <unk> more than it teaches itself; every character counts.
  const int64_t min_count = form == Tokeniser::word && pairs.size() > 1000 ? 2 : 1;
  return Vocabulary(texts, form, min_count);
}

// Rises to 1 over the first steps, then falls along a half cosine to 0.
double rate_factor(int64_t step, int64_t steps) {
  const double warmup = std::max(1.0, warmup_share * static_cast<double>(steps));
  const double done = static_cast<double>(step) + 0.5;
  if (done < warmup) return done / warmup;
  const double rest = std::max(1.0, static_cast<double>(steps) - warmup);
  return 0.5 * (1 + std::cos(std::numbers::pi * (done - warmup) / rest));
}

struct Training {
  Curve losses, accuracies;
  std::vector<Snapshot> snapshots;
  int64_t steps_done = 0;
  double seconds = 0;
};

// One step of Adam on one batch; returns the loss before it.
double step(Translator& translator, optim::Adam& optimiser, const Batch& batch) {
  optimiser.zero_grad();
  const Tensor loss = translator.loss(batch);
  const double value = loss.item<double>();
  check(std::isfinite(value), "train: the loss is {}; a smaller --lr may help", value);
  loss.backward();
  optim::clip_grad_norm(nn::parameters(translator.model()), clip_norm);
  optimiser.step();
  return value;
}

std::vector<std::string> watched_sentences(const std::vector<Question>& questions) {
  std::vector<std::string> sources;
  for (const Question& question : questions) sources.push_back(question.source);
  return sentences_to_watch(sources, watched);
}

Training learn(Translator& translator, Batches& batches, const std::vector<Question>& held_out,
               int64_t steps, double rate) {
  Training training;
  Progress progress("train", steps);
  optim::Adam optimiser(nn::parameters(translator.model()), {.lr = rate});
  const StopOnSignal stop;
  const auto start = std::chrono::steady_clock::now();
  const int64_t interval = std::max<int64_t>(1, steps / measurements);
  double accuracy = std::numeric_limits<double>::quiet_NaN(), loss_sum = 0;
  int64_t loss_count = 0;
  const std::vector<std::string> sentences = watched_sentences(held_out);
  for (int64_t done = 0; done < steps && interrupted == 0;) {
    optimiser.set_lr(rate * rate_factor(done, steps));
    loss_sum += step(translator, optimiser, batches.next());
    training.steps_done = ++done;
    const double mean_loss = loss_sum / static_cast<double>(++loss_count);
    if (done % std::max<int64_t>(1, interval / 5) == 0 || done == steps) {
      training.losses.emplace_back(done, mean_loss);
      loss_sum = 0;
      loss_count = 0;
    }
    if (done % interval == 0 && done < steps && !held_out.empty()) {
      accuracy = ask(translator, held_out).share();
      training.accuracies.emplace_back(done, 100 * accuracy);
    }
    if ((done % interval == 0 || done == steps || done == 1) && !sentences.empty()) {
      training.snapshots.push_back(take_snapshot(translator, sentences, done));
    }
    progress.update(done, mean_loss, accuracy);
  }
  progress.finish();
  training.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return training;
}

void print_samples(const std::vector<Question>& held_out, const Answers& answers) {
  std::cout << "\nSome of them (✗ marks a wrong one, and what was wanted):\n";
  for (size_t i = 0; i < std::min(samples, held_out.size()); ++i) {
    const size_t at = i * held_out.size() / std::min(samples, held_out.size());
    const Question& question = held_out[at];
    const bool right = question.accepted.contains(answers.texts[at]);
    std::cout << "  " << (right ? " " : "✗") << " " << question.source << "  →  "
              << answers.texts[at];
    if (!right) std::cout << "   (" << *question.accepted.begin() << ")";
    std::cout << "\n";
  }
}

Facts facts_of(const TrainOptions& options, const Task& task, Translator& translator,
               const Training& training, const Answers& answers) {
  Facts facts = {
      {"data", options.data.empty() ? "generated dates" : task.name},
      {"pairs", fmt::format("{} to learn from, {} held out", task.data.train.size(),
                            task.data.held_out.size())},
      {"tokens", fmt::format("{}: {} in the source, {} in the target", options.tokens,
                             translator.source().size(), translator.target().size())},
      {"model",
       fmt::format("{}, {} attention, embedding {}, hidden {}: {} parameters", options.model,
                   options.model == "transformer" ? "multi-head" : options.score, options.embedding,
                   options.hidden, nn::num_parameters(translator.model()))},
      {"training", fmt::format("{} steps of {} pairs, Adam at {}, seed {}", training.steps_done,
                               options.batch, options.rate, options.seed)},
      {"time", fmt::format("{:.1f} s on {} threads ({})", training.seconds, num_threads(),
                           cpu_features())}};
  if (!answers.texts.empty()) {
    facts.emplace_back("held-out exact match",
                       fmt::format("{:.2f} % ({} of {})", 100 * answers.share(), answers.right,
                                   answers.texts.size()));
  }
  std::vector<std::string> sources;
  for (const Pair& pair : task.data.held_out) {
    if (sources.size() < measured_often) sources.push_back(pair.source);
  }
  if (const Alignment years = alignment(translator, sources); years.digits > 0) {
    facts.emplace_back("years align",
                       fmt::format("{:.1f} % of the attention of {} digits, {:.1f} % "
                                   "of their peaks, on the source's year",
                                   100 * years.mass, years.digits, 100 * years.peaks));
  }
  return facts;
}

Translator make_translator(const TrainOptions& options, const Task& task, Generator& generator) {
  const std::vector<Pair>& pairs = task.data.train;
  Vocabulary source = vocabulary_of(pairs, &Pair::source, task.tokeniser);
  Vocabulary target = vocabulary_of(pairs, &Pair::target, task.tokeniser);
  size_t longest_source = 0, longest_target = 0;
  for (const EncodedPair& pair : encode(pairs, source, target)) {
    longest_source = std::max(longest_source, pair.source.size());
    longest_target = std::max(longest_target, pair.target.size());
  }
  const ModelSizes sizes = {options.score,
                            options.embedding,
                            options.hidden,
                            static_cast<int64_t>(longest_source) + spare_tokens,
                            static_cast<int64_t>(longest_target) + spare_tokens,
                            options.dropout,
                            options.model};
  return Translator(std::move(source), std::move(target), sizes, generator);
}

std::vector<AttentionMap> draw_maps(Translator& translator, const std::vector<Pair>& pairs) {
  std::vector<AttentionMap> drawn;
  const size_t count = std::min(maps, pairs.size());
  for (size_t i = 0; i < count; ++i) {
    drawn.push_back(translator.show(pairs[(i + 1) * pairs.size() / count - 1].source).map);
  }
  return drawn;
}

// Each answer beside the accepted target that is most like it.
std::vector<Example> scored(const std::vector<Question>& held_out, const Answers& answers) {
  std::vector<Example> result;
  for (size_t i = 0; i < held_out.size(); ++i) {
    Example example{held_out[i].source, answers.texts[i], "", -1};
    for (const std::string& reference : held_out[i].accepted) {
      const double score = similarity(answers.texts[i], reference);
      if (score > example.score) {
        example.score = score;
        example.reference = reference;
      }
    }
    result.push_back(std::move(example));
  }
  return result;
}

// Measures, prints and writes what came out of the training.
void finish(const TrainOptions& options, const Task& task, Translator& translator,
            Training training, const std::string& out) {
  const std::vector<Question> held_out =
      questions(task.data.held_out, task.tokeniser, measured_at_end);
  const Answers answers = ask(translator, held_out);
  if (!held_out.empty()) {
    training.accuracies.emplace_back(training.steps_done, 100 * answers.share());
  }
  Report report = {
      "Attention: " + task.name,
      facts_of(options, task, translator, training, answers),
      {{"train loss", "loss in nats a token", training.losses},
       {"held-out exact match", "accuracy in %", training.accuracies}},
      draw_maps(translator, held_out.empty() ? task.data.train : task.data.held_out),
      training.snapshots,
      {},
      {},
      "similarity"};
  set_examples(report, scored(held_out, answers), examples);
  write_report(out, report);

  for (const auto& [what, value] : report.facts) std::cout << what << ": " << value << "\n";
  if (held_out.empty()) {
    std::cout << "held-out exact match: not measured, because nothing was held out\n";
  } else {
    print_samples(held_out, answers);
  }
  std::cout << "\n";
  print_map(report.maps.front());
  std::cout << "\nIn " << out << ":\n"
            << "  report.html          curves, maps as they were learnt, examples; open it in a browser\n"
            << "  attention.svg        the map above\n"
            << "  curves.tsv           loss and exact match, step by step\n"
            << "  weights.safetensors  the model: `attention translate --weights " << out
            << " TEXT`\n";
}

int64_t steps_of(const TrainOptions& options, const Batches& batches) {
  if (options.steps > 0) return options.steps;
  if (options.epochs > 0) return options.epochs * batches.per_epoch();
  if (options.data.empty()) return TrainOptions::default_steps;
  return std::max(TrainOptions::default_steps, TrainOptions::default_epochs * batches.per_epoch());
}

}  // namespace

int run_train(const TrainOptions& options) {
  if (options.threads > 0) set_num_threads(options.threads);
  const Task task = read_task(options);
  const std::string out = options.out.empty() ? "runs/" + task.name : options.out;
  prepare_directory(out);

  Generator generator(options.seed);
  Translator translator = make_translator(options, task, generator);
  Batches batches(encode(task.data.train, translator.source(), translator.target()), options.batch,
                  nn::fork(generator).seed());
  const int64_t steps = steps_of(options, batches);
  const Training training =
      learn(translator, batches, questions(task.data.held_out, task.tokeniser, measured_often),
            steps, options.rate);
  translator.save(out + "/weights.safetensors");
  if (interrupted != 0) {
    std::cerr << "attention: stopped after step " << training.steps_done << " of " << steps
              << "; what was learnt is in " << out << "\n";
    return 128 + interrupted;
  }
  finish(options, task, translator, training, out);
  return 0;
}

}  // namespace regrad::example

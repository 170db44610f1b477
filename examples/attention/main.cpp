// attention: learns to turn one line of text into another, and shows what it attends to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <set>
#include <sstream>

#include "autograd/error.h"
#include "examples/attention/commands.h"
#include "examples/runs/output.h"
#include "examples/runs/terminal.h"

namespace {

using namespace regrad::example;

// CLI11 prints what is accepted beside each option; a person wants to read less.
CLI::Validator quiet(CLI::Validator validator) {
  validator.description("");
  return validator;
}

// What is out of range is refused with the range in the message.
template <class T>
CLI::Validator between(T least, T most) {
  return CLI::Validator(
      [=](std::string& text) {
        T value;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most)
          return std::string();
        return fmt::format("{} is no {} from {} to {}", text,
                           std::is_floating_point_v<T> ? "number" : "whole number", least, most);
      },
      "");
}

// A path that is given must name something.
CLI::Option* path(CLI::Option* option, const std::string& kind) {
  return option->type_name(kind)->check(CLI::Validator(
      [](std::string& text) {
        return std::string(text.empty() ? "a path is empty; it must name something" : "");
      },
      ""));
}

CLI::Option* named(CLI::Option* option, const std::string& value) {
  return option->type_name(value)->capture_default_str();
}

CLI::Option* by_data(CLI::Option* option, const std::string& value) {
  return option->type_name(value)->description(option->get_description() +
                                               "; unless given as suits the data");
}

void add_machine(CLI::App& app, Machine& machine) {
  app.add_option("--threads", machine.threads,
                 "how many threads compute; any number gives the same bits")
      ->type_name("N")
      ->check(between(1, 1024));
  named(app.add_option("--device", machine.device, "cpu or cuda"), "NAME")
      ->check(quiet(CLI::IsMember({"cpu", "cuda"})));
}

void add_descent(CLI::App& train, TrainOptions& options) {
  named(train.add_option("--schedule", options.schedule,
                         "how the rate falls: cosine, inverse-sqrt or constant"),
        "NAME")
      ->check(quiet(CLI::IsMember(schedule_names())));
  train.add_option("--warmup", options.warmup, "steps in which the rate rises; unless given 5 %")
      ->type_name("N")
      ->check(between(0, 1000000000));
  named(train.add_option("--accumulate", options.accumulate, "batches in a step"), "N")
      ->check(between(1, 65536));
  named(train.add_option("--label-smoothing", options.label_smoothing,
                         "the share of each target that is spread over all tokens"),
        "P")
      ->check(between(0.0, 0.9));
  named(train.add_option("--clip", options.clip, "the longest gradient; 0: any length"), "LENGTH")
      ->check(between(0.0, 1e9));
}

void add_keeping(CLI::App& train, TrainOptions& options) {
  named(train.add_option("--patience", options.patience,
                         "stop after N measurements without a better held-out loss; 0: never"),
        "N")
      ->check(between(0, 1000000));
  train.add_option("--save-every", options.save_every, "steps; unless given a twentieth of all")
      ->type_name("N")
      ->check(between(1, 1000000000));
  named(train.add_option("--keep", options.keep, "checkpoints, besides the best"), "N")
      ->check(between(1, 1000000));
  path(train.add_option("--resume", options.resume,
                        "go on with the run in DIR, with its own options; only --threads and "
                        "--device may differ"),
       "DIR");
}

void add_train(CLI::App& app, TrainOptions& options, Machine& machine) {
  CLI::App* train = app.add_subcommand(
      "train", "learn from pairs of lines; without --data, from dates made up on the spot");
  path(train->add_option("--data", options.data,
                         "pairs to learn from: SOURCE<tab>TARGET or SOURCE_TARGET lines, UTF-8"),
       "FILE");
  path(train->add_option(
           "--out", options.out,
           "where weights and pictures go; unless given runs/ and the name of the data"),
       "DIR");
  named(
      train->add_option("--score", options.score,
                        "the score of a source position: additive, dot, scaled, general, location, "
                        "distance or cosine"),
      "NAME")
      ->check(quiet(CLI::IsMember(score_names())));
  named(train->add_option("--model", options.model, "gru, lstm or transformer"), "NAME")
      ->check(quiet(CLI::IsMember(model_names())));
  named(train->add_option("--tokens", options.tokens,
                          "what a token is: char, word, or bytepair (learnt parts of words); auto "
                          "takes bytepair for sentences"),
        "KIND")
      ->check(quiet(CLI::IsMember(token_choices())));
  train->add_option("--merges", options.merges, "of bytepair; unless given as many as suit")
      ->type_name("N")
      ->check(between(0, 1000000));
  by_data(train->add_option("--layers", options.layers,
                            "of the encoder, and of a transformer's "
                            "decoder"),
          "N")
      ->check(between(1, 64));
  named(train->add_option("--heads", options.heads, "of a transformer"), "N")
      ->check(between(1, 4096));
  by_data(train->add_option("--embedding", options.embedding, "numbers for each token"), "N")
      ->check(between(1, 4096));
  by_data(train->add_option("--hidden", options.hidden, "size of the recurrent state"), "N")
      ->check(between(1, 4096));
  train->add_flag("--input-feeding", options.input_feeding,
                  "give each step of a gru or lstm what the step before read out");
  train->add_flag("--tie-output", options.tie_output,
                  "the output layer of a gru or lstm is the target embedding");
  by_data(train->add_option("--dropout", options.dropout, "chance to drop a number in training"),
          "P")
      ->check(between(0.0, 0.9));
  named(train->add_option("--batch", options.batch, "pairs in a step"), "N")
      ->check(between(1, 65536));
  CLI::Option* steps =
      train->add_option("--steps", options.steps, "how many steps; unless given as suits the data")
          ->type_name("N")
          ->check(between(1, 1000000000));
  train->add_option("--epochs", options.epochs, "or how many times through all pairs")
      ->type_name("N")
      ->check(between(1, 1000000))
      ->excludes(steps);
  by_data(train->add_option("--lr", options.rate, "the highest learning rate of Adam"), "RATE")
      ->check(between(1e-9, 10.0));
  named(train->add_option("--held-out", options.held_out,
                          "the share of sources kept from training, to measure on"),
        "SHARE")
      ->check(between(0.0, 0.9));
  train->add_option("--pairs", options.pairs, "use the first N pairs only; or make up N dates")
      ->type_name("N")
      ->check(between(1, 100000000));
  train
      ->add_option(
          "--max-length", options.max_length,
          "leave out pairs with a side of more than N tokens; unless given one of more than "
          "1000 is an error")
      ->type_name("N")
      ->check(between(int64_t{1}, longest_text));
  named(train->add_option("--seed", options.seed, "another seed, another run"), "N");
  add_machine(*train, machine);
  add_descent(*train, options);
  add_keeping(*train, options);
}

void add_decode(CLI::App& app, DecodeOptions& options) {
  named(app.add_option("--beam", options.beam, "search with so many hypotheses side by side"), "N")
      ->check(between(1, 1000));
  named(app.add_option("--n-best", options.n_best, "the best N, or N samples, with their scores"),
        "N")
      ->check(between(1, 1000));
  named(app.add_option("--length-penalty", options.length_penalty,
                       "above 0 favours longer translations"),
        "ALPHA")
      ->check(between(-10.0, 10.0));
  named(app.add_option("--temperature", options.temperature,
                       "above 0 samples in place of searching; 1: as the model says"),
        "T")
      ->check(between(0.0, 100.0));
  named(app.add_option("--top-k", options.top_k, "sample from the K likeliest tokens; 0: all"), "K")
      ->check(between(0, 1000000000));
  named(app.add_option("--top-p", options.top_p, "sample from the likeliest, P of chance together"),
        "P")
      ->check(between(1e-6, 1.0));
  named(app.add_option("--seed", options.seed, "another seed, other samples"), "N");
}

CLI::Option* add_weights(CLI::App& app, std::string& weights) {
  return path(app.add_option("--weights", weights,
                             "a run of `train`: its folder, or the file itself"),
              "DIR")
      ->capture_default_str();
}

void add_translate(CLI::App& app, TranslateOptions& options, Machine& machine) {
  CLI::App* translate = app.add_subcommand(
      "translate", "one line in, one line out: from TEXT, from a pipe, or typed");
  add_weights(*translate, options.weights);
  translate->add_option("TEXT", options.texts, "lines to translate; none: read standard input")
      ->type_name("");
  add_decode(*translate, options.decode);
  add_machine(*translate, machine);
}

void add_evaluate(CLI::App& app, EvaluateOptions& options, Machine& machine) {
  CLI::App* evaluate = app.add_subcommand(
      "evaluate", "exact match, token accuracy, perplexity, BLEU and chrF of a run");
  add_weights(*evaluate, options.weights);
  path(evaluate->add_option("--data", options.data,
                            "pairs; unless given those that the run held out"),
       "FILE");
  named(evaluate->add_option("--pairs", options.pairs, "at most so many sources, evenly spread"),
        "N")
      ->check(between(1, 100000000));
  add_decode(*evaluate, options.decode);
  add_machine(*evaluate, machine);
}

void add_show(CLI::App& app, ShowOptions& options, Machine& machine) {
  CLI::App* show = app.add_subcommand("show", "draw what the model attends to for one line");
  add_weights(*show, options.weights);
  show->add_option("TEXT", options.text, "the line to translate")->type_name("")->required();
  add_decode(*show, options.decode);
  add_machine(*show, machine);
  path(show->add_option("--svg", options.svg, "also write an SVG picture"), "FILE");
  path(show->add_option("--html", options.html, "also write a page for the browser"), "FILE");
}

void add_tutorial(CLI::App& app, TutorialOptions& options, Machine& machine) {
  CLI::App* tutorial = app.add_subcommand(
      "tutorial", "the tutorial's equations with numbers, its descent, and three facts about it");
  std::vector<std::string> names = score_names();
  names.push_back("all");
  named(tutorial->add_option("--score", options.score,
                             "the score function f(h_i, h_j): additive, dot, ..., or all"),
        "NAME")
      ->check(quiet(CLI::IsMember(names)));
  named(tutorial->add_option("--iterations", options.iterations, "stop after so many"), "N")
      ->check(between(1, 1000000));
  named(tutorial->add_option("--threshold", options.threshold, "or when the loss is below"), "L")
      ->check(between(0.0, 1e9));
  named(tutorial->add_option("--lr", options.rate, "the step size, alpha"), "RATE")
      ->check(between(1e-9, 1e9));
  named(tutorial->add_option("--seed", options.seed, "another seed, other numbers"), "N");
  add_machine(*tutorial, machine);
}

struct Idle {
  const char* option;
  bool is_idle;
  const char* reason;
};

// Options that change nothing are told of.
void tell_idle(const CLI::App& command, std::initializer_list<Idle> all) {
  for (const auto& [option, is_idle, reason] : all) {
    if (is_idle && command.get_option(option)->count() > 0)
      remark(fmt::format("{} has no effect: {}", option, reason));
  }
}

void check_train(const CLI::App& train, const TrainOptions& options) {
  const std::set<std::string> may_differ = {"--resume", "--threads", "--device"};
  for (const CLI::Option* option : train.get_options()) {
    const std::string name = option->get_name();
    if (option->count() == 0 || options.resume.empty() || may_differ.contains(name)) continue;
    throw regrad::Error("--resume goes on with the options that the run began with: leave out " +
                        name + "; only --threads and --device may differ");
  }
  const bool is_transformer = options.model == "transformer";
  if (is_transformer && train.get_option("--score")->count() > 0)
    throw regrad::Error("--score is for gru and lstm; a transformer has its own");
  const char* of_others = "it is for gru and lstm";
  tell_idle(train, {{"--embedding", is_transformer, "a transformer is as wide as --hidden says"},
                    {"--input-feeding", is_transformer, of_others},
                    {"--tie-output", is_transformer, of_others},
                    {"--heads", !is_transformer, "it is for --model transformer"},
                    {"--merges", options.tokens == "char" || options.tokens == "word",
                     "it is for --tokens bytepair"}});
}

void tell_idle_decoding(const CLI::App& command, const DecodeOptions& options) {
  const bool samples = options.temperature > 0, penalises = options.length_penalty != 0;
  const bool is_greedy = !samples && options.beam == 1 && options.n_best == 1;
  const char *of_samples = "nothing is sampled without a --temperature above 0",
             *of_search = "a --temperature above 0 samples, it does not search";
  tell_idle(
      command,
      {{"--top-k", !samples && options.top_k > 0, of_samples},
       {"--top-p", !samples && options.top_p < 1, of_samples},
       {"--seed", !samples, of_samples},
       {"--beam", samples && options.beam > 1, of_search},
       {"--beam", !samples && options.beam < options.n_best, "--n-best needs a beam of its size"},
       {"--length-penalty", samples && penalises, of_search},
       {"--length-penalty", is_greedy && penalises, "--beam 1 has no hypotheses to compare"}});
}

// What CLI11 has to say, which may hold arguments as they were given.
int told(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, err;
  const int status = app.exit(error, out, err) == 0 ? 0 : 2;
  std::cout << printable_lines(out.str()) << std::flush;
  std::cerr << printable_lines(err.str());
  return status;
}

int run(int argc, char** argv) {
  const char* called = std::getenv("REGRAD_PROGRAM");  // what ./run was called
  program = called != nullptr ? called : argv[0];
  CLI::App app(
      "attention: learns to turn one line of text into another, and shows what it attends to.\n"
      "Without a command: learns dates, shows what it learnt, and says where everything is.",
      program);
  app.set_version_flag("--version", "attention (regrad) 0.1.0");
  app.require_subcommand(0, 1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.failure_message(CLI::FailureMessage::simple);
  TrainOptions train;
  TranslateOptions translate;
  EvaluateOptions evaluate;
  ShowOptions show;
  TutorialOptions tutorial;
  Machine machine;  // given before the command, or without one, or among the command's options
  add_machine(app, machine);
  add_train(app, train, machine);
  add_translate(app, translate, machine);
  add_evaluate(app, evaluate, machine);
  add_show(app, show, machine);
  add_tutorial(app, tutorial, machine);
  app.footer("\nExamples:\n  " + program + "    (a minute or less, no data needed)\n  " + program +
             " train --data eng-fra.tsv --tokens word\n  " + program +
             " translate \"september 27, 1994\"\n  " + program +
             " show \"september 27, 1994\" --html map.html\n  " + program + " tutorial\n\n`" +
             program + " COMMAND --help` lists the options of a command.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return told(app, error);
  }
  for (const auto& [name, decode] :
       {std::pair{"translate", &translate.decode}, std::pair{"evaluate", &evaluate.decode},
        std::pair{"show", &show.decode}}) {
    if (app.got_subcommand(name)) tell_idle_decoding(*app.get_subcommand(name), *decode);
  }
  tell_idle(*app.get_subcommand("evaluate"),
            {{"--n-best", evaluate.decode.n_best > 1, "the first answer alone is measured"}});
  check_train(*app.get_subcommand("train"), train);
  machine.use();
  train.machine = machine;
  if (app.got_subcommand("translate")) return run_translate(translate);
  if (app.got_subcommand("evaluate")) return run_evaluate(evaluate);
  if (app.got_subcommand("show")) return run_show(show);
  if (app.got_subcommand("tutorial")) return run_tutorial(tutorial);
  return run_train(train);
}

}  // namespace

// Every command ends here: what it printed has arrived, or its status is not 0.
int main(int argc, char** argv) {
  reserve_standard_streams();
  StandardOutput output;
  std::string failure;
  int status = 1;
  try {
    status = run(argc, argv);
    output.finish();
    return status;
  } catch (const std::bad_alloc&) {
    failure = "out of memory; smaller --hidden, --embedding or --batch need less";
  } catch (const std::exception& error) {
    failure = error.what();
  }
  std::cout.exceptions(std::ios::goodbit);  // it may be what failed, and std::cerr flushes it
  say(failure);
  return status == 0 ? 1 : status;
}

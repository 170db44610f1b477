// attention: learns to turn one line of text into another, and shows what it attends to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
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
CLI::Validator between(T min, T max) {
  return CLI::Validator(
      [=](std::string& text) {
        T value;
        if (CLI::detail::lexical_cast(text, value) && value >= min && value <= max)
          return std::string();
        return fmt::format("{} is not {} from {} to {}", text,
                           std::is_floating_point_v<T> ? "a number" : "an integer", min, max);
      },
      "");
}

void add_value(CLI::App& app, const std::string& name, const Option& option, bool& value) {
  app.add_flag(name, value, option.help);
}

void add_value(CLI::App& app, const std::string& name, const Option& option, std::string& value) {
  CLI::Option* added = app.add_option(name, value, option.help)->type_name(option.type);
  if (!value.empty()) added->capture_default_str();
  if (!option.setting.choices.empty()) {
    added->check(quiet(CLI::IsMember(option.setting.choices)));
    return;
  }
  added->check(quiet(CLI::Validator(
      [](std::string& text) {
        return std::string(text.empty() ? "a path is empty; it must name something" : "");
      },
      "")));
}

template <class Number>
void add_value(CLI::App& app, const std::string& name, const Option& option, Number& value) {
  CLI::Option* added = app.add_option(name, value, option.help)->type_name(option.type);
  const double min = option.setting.min, max = option.setting.max;
  const auto number = static_cast<double>(value);
  if (option.shows_default && number >= min && number <= max) added->capture_default_str();
  if constexpr (!std::is_same_v<Number, uint64_t>) {  // of which any will do
    added->check(between(static_cast<Number>(min), static_cast<Number>(max)));
  }
}

void add(CLI::App& app, const Option& option) {
  std::string name = "--" + option.setting.name;
  std::replace(name.begin(), name.end(), '_', '-');
  std::visit([&](auto* value) { add_value(app, name, option, *value); }, option.setting.value);
}

void add(CLI::App& app, Machine& machine) {
  app.add_option("--threads", machine.threads,
                 "how many threads compute; any number gives the same bits")
      ->type_name("N")
      ->check(between(1, 1024));
  app.add_option("--device", machine.device, "cpu or cuda")
      ->type_name("NAME")
      ->capture_default_str()
      ->check(quiet(CLI::IsMember({"cpu", "cuda"})));
}

struct Commands {
  TrainOptions train;
  TranslateOptions translate;
  EvaluateOptions evaluate;
  ShowOptions show;
  TutorialOptions tutorial;
  Machine machine;  // given before the command, or without one, or among the command's options
};

template <class CommandOptions>
CLI::App* add_command(CLI::App& app, const char* name, const char* help, CommandOptions& options,
                      Machine& machine) {
  CLI::App* command = app.add_subcommand(name, help);
  for (const Option& option : options_of(options)) add(*command, option);
  add(*command, machine);
  return command;
}

void add_commands(CLI::App& app, Commands& commands) {
  Machine& machine = commands.machine;
  CLI::App* train = add_command(
      app, "train", "learn from pairs of lines; without --data, from dates made up on the spot",
      commands.train, machine);
  train->get_option("--epochs")->excludes(train->get_option("--steps"));
  add_command(app, "translate", "one line in, one line out: from TEXT, from a pipe, or typed",
              commands.translate, machine)
      ->add_option("TEXT", commands.translate.texts,
                   "lines to translate; none: read standard input")
      ->type_name("");
  add_command(app, "evaluate", "exact match, token accuracy, perplexity, BLEU and chrF of a run",
              commands.evaluate, machine);
  add_command(app, "show", "draw what the model attends to for one line", commands.show, machine)
      ->add_option("TEXT", commands.show.text, "the line to translate")
      ->type_name("")
      ->required();
  add_command(app, "tutorial",
              "the tutorial's equations with numbers, its descent, and three facts about it",
              commands.tutorial, machine);
}

void add_all(CLI::App& app, Commands& commands) {
  app.set_version_flag("--version", "attention (regrad) 0.1.0");
  app.require_subcommand(0, 1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.failure_message(CLI::FailureMessage::simple);
  add(app, commands.machine);
  add_commands(app, commands);
  app.footer("\nExamples:\n  " + program + "    (a minute or less, no data needed)\n  " + program +
             " train --data eng-fra.tsv --tokens word\n  " + program +
             " translate \"september 27, 1994\"\n  " + program +
             " show \"september 27, 1994\" --html map.html\n  " + program + " tutorial\n\n`" +
             program + " COMMAND --help` lists the options of a command.");
}

struct Unused {
  const char* option;
  bool is_unused;
  const char* reason;
};

// Says which of the options that were given change nothing.
void note_unused(const CLI::App& command, std::initializer_list<Unused> all) {
  for (const auto& [option, is_unused, reason] : all) {
    if (is_unused && command.get_option(option)->count() > 0)
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
  const char* recurrent = "it is for gru and lstm";
  note_unused(train, {{"--embedding", is_transformer, "a transformer is as wide as --hidden says"},
                      {"--input-feeding", is_transformer, recurrent},
                      {"--tie-output", is_transformer, recurrent},
                      {"--heads", !is_transformer, "it is for --model transformer"},
                      {"--merges", options.tokens == "char" || options.tokens == "word",
                       "it is for --tokens bytepair"}});
}

// Sampling is asked for by a temperature.
void finish_decoding(const CLI::App& command, Decoding& decoding) {
  const regrad::nn::DecodeOptions& options = decoding.options;
  decoding.samples = command.get_option("--temperature")->count() > 0 && options.temperature > 0;
  const bool penalises = options.length_penalty != 0, samples = decoding.samples;
  const bool is_greedy = !samples && options.beam == 1 && options.n_best == 1;
  const char *of_samples = "nothing is sampled without a --temperature above 0",
             *of_search = "a --temperature above 0 samples, it does not search";
  note_unused(
      command,
      {{"--top-k", !samples && options.top_k > 0, of_samples},
       {"--top-p", !samples && options.top_p < 1, of_samples},
       {"--seed", !samples, of_samples},
       {"--beam", samples && options.beam > 1, of_search},
       {"--beam", !samples && options.beam < options.n_best, "--n-best needs a beam of its size"},
       {"--length-penalty", samples && penalises, of_search},
       {"--length-penalty", is_greedy && penalises, "--beam 1 has no hypotheses to compare"}});
}

// Prints what CLI11 has to say, which may hold arguments as they were given; the exit status.
int print(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out, err;
  const int status = app.exit(error, out, err) == 0 ? 0 : 2;
  std::cout << printable_lines(out.str()) << std::flush;
  std::cerr << printable_lines(err.str());
  return status;
}

int run_command(const CLI::App& app, Commands& commands) {
  const auto is = [&](const char* name) { return app.got_subcommand(name); };
  const auto command = [&](const char* name) -> const CLI::App& {
    return *app.get_subcommand(name);
  };
  if (is("translate")) finish_decoding(command("translate"), commands.translate.decode);
  if (is("evaluate")) finish_decoding(command("evaluate"), commands.evaluate.decode);
  if (is("show")) finish_decoding(command("show"), commands.show.decode);
  note_unused(command("evaluate"), {{"--n-best", commands.evaluate.decode.options.n_best > 1,
                                     "the first translation alone is measured"}});
  check_train(command("train"), commands.train);
  commands.machine.use();
  commands.train.machine = commands.machine;
  if (is("translate")) return run_translate(commands.translate);
  if (is("evaluate")) return run_evaluate(commands.evaluate);
  if (is("show")) return run_show(commands.show);
  if (is("tutorial")) return run_tutorial(commands.tutorial);
  return run_train(commands.train);
}

int run(int argc, char** argv) {
  const char* called = std::getenv("REGRAD_PROGRAM");  // what ./run was called
  program = called != nullptr ? called : argv[0];
  CLI::App app(
      "attention: learns to turn one line of text into another, and shows what it attends to.\n"
      "Without a command: learns dates, shows what it learnt, and says where everything is.",
      program);
  Commands commands;
  add_all(app, commands);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return print(app, error);
  }
  return run_command(app, commands);
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

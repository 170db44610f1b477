// How a recorder hears that the program ends otherwise than by returning from main().
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <thread>

#include "autograd/trace/recorder.h"

namespace regrad {
namespace {

// Never destroyed: the program may be interrupted at any time.
struct Recorders {
  std::mutex mutex;
  std::vector<Recorder*> alive;
  void write(const std::string& why) noexcept {
    const std::lock_guard lock(mutex);
    for (Recorder* one : alive) one->interrupt(why);
  }
};
Recorders& recorders() {
  static Recorders& all = *new Recorders;
  return all;
}

std::terminate_handler program_terminates = nullptr;

[[noreturn]] void terminated() {
  std::string why = "the program was terminated";
  try {
    if (const std::exception_ptr current = std::current_exception()) {
      std::rethrow_exception(current);
    }
  } catch (const std::exception& error) {
    why = "Error: " + std::string(error.what());
  } catch (...) {
    why = "the program ended by an exception";
  }
  recorders().write(why);
  if (program_terminates != nullptr) program_terminates();
  std::abort();
}

// A signal handler may do very little: it wakes a thread, which writes and then ends the program as
// the signal would have. Meanwhile it keeps its own thread from going on, for which a call such as
// sleep() would have ended early. Only for a while: that thread may hold a lock of malloc().
int wake[2] = {-1, -1};
constexpr int most_milliseconds = 2000;

void on_signal(int signal) {
  const auto number = static_cast<unsigned char>(signal);
  static_cast<void>(!::write(wake[1], &number, 1));
  if (!Recorder::is_recording()) ::poll(nullptr, 0, most_milliseconds);
}

void wait_for_signals() {
  unsigned char number = 0;
  while (::read(wake[0], &number, 1) != 1) {
  }
  recorders().write("interrupted");
  std::signal(number, SIG_DFL);
  ::kill(::getpid(), number);
}

void listen_to(int signal) {
  struct sigaction now {};
  sigaction(signal, nullptr, &now);
  if (now.sa_handler != SIG_DFL) return;  // the program, or who started it, has decided
  struct sigaction ours {};
  ours.sa_handler = on_signal;
  ours.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // a second one ends it at once
  sigaction(signal, &ours, nullptr);
}

void install() {
  program_terminates = std::set_terminate(terminated);
  if (::pipe(wake) != 0) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);  // signals are for the program's threads
  std::thread(wait_for_signals).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  listen_to(SIGINT);
  listen_to(SIGTERM);
}

}  // namespace

void write_at_the_end(Recorder& recorder) {
  static std::once_flag once;
  std::call_once(once, install);
  const std::lock_guard lock(recorders().mutex);
  recorders().alive.push_back(&recorder);
}

void forget(Recorder& recorder) {
  const std::lock_guard lock(recorders().mutex);
  std::erase(recorders().alive, &recorder);
}

}  // namespace regrad

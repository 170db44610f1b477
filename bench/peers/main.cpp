// regrad's side of the comparison: peers [--only NAME] [--list] [--min-ms MS] [--reps N]
#include <cstring>

#include "bench/peers/case.h"

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (std::strcmp(argv[i], "--list") == 0) peers::settings.list = true;
    else if (std::strcmp(argv[i], "--only") == 0 && more) peers::settings.only = argv[++i];
    else if (std::strcmp(argv[i], "--min-ms") == 0 && more) peers::settings.min_ms = std::stod(argv[++i]);
    else if (std::strcmp(argv[i], "--reps") == 0 && more) peers::settings.repetitions = std::stoi(argv[++i]);
    else {
      std::fprintf(stderr, "peers: unknown argument %s\n", argv[i]);
      return 2;
    }
  }
  peers::overhead_cases();
  peers::op_cases();
  peers::model_cases();
}

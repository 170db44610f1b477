// The cases of the comparison: each is a name and a function that builds the inputs and returns the
// function to time. compare.py drives two programs that know the same names, this one and
// torch_cases.py, and times them in turn: see main.cpp for what it says to them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "regrad.h"

namespace peers {

// What a case cannot do without, for the machine's limit: multiplications and additions of
// products, bytes that have to be read or written, and exponentials (a tanh counts as one).
struct Need {
  double flop = 0, bytes = 0, exponentials = 0;
};

struct Case {
  std::string name;
  std::function<std::function<void()>()> make;
  Need need;
};
inline std::vector<Case> cases;

template <class Make>
void add_case(const std::string& name, const Make& make, Need need = {}) {
  cases.push_back({name, [make] { return std::function<void()>(make()); }, need});
}

void overhead_cases();
void op_cases();
void large_cases();  // beyond any cache: what a GPU is for
void recurrent_cases();
void model_cases();

}  // namespace peers

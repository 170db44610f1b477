// CHECK_ERROR(expression, text): the expression throws a regrad::Error whose text contains `text`.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "autograd/error.h"
#include "autograd/tensor.h"

namespace regrad {

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
    zeros({1}).item<float>();  // a GPU may say it only when it is waited for
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

}  // namespace regrad

#define CHECK_ERROR(expression, text)                                                    \
  do {                                                                                   \
    const std::string said = ::regrad::error_of([&] { static_cast<void>(expression); }); \
    CHECK_MESSAGE(said.find(text) != std::string::npos, "the error was: ", said);        \
  } while (false)

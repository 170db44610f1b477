// The share of a year's attention that falls on the year.
#include "examples/attention/alignment.h"

#include <doctest/doctest.h>

using namespace regrad::example;

namespace {

std::vector<std::string> characters(const std::string& text) {
  return tokenise(text, Tokeniser::character);
}

// Each of the first four rows puts `mass` on one character of the year and the rest on the first
// character of all.
AttentionMap map_of(const std::string& source, const std::string& target, size_t year, float mass) {
  AttentionMap map{characters(source), characters(target), {}, ""};
  map.weights.resize(map.source.size() * map.target.size());
  for (size_t row = 0; row < map.target.size(); ++row) {
    map.weights[row * map.source.size()] += 1 - mass;
    map.weights[row * map.source.size() + year + row % 4] += mass;
  }
  return map;
}

TEST_SUITE_BEGIN("examples");

TEST_CASE("alignment is the share of attention, and of peaks, on the source's year") {
  const AttentionMap sharp = map_of("may 3, 1984", "1984-05-03", 7, 0.75F);
  const Alignment one = alignment({sharp});
  CHECK(one.digits == 4);
  CHECK(one.mass == doctest::Approx(0.75));
  CHECK(one.peaks == 1);
  const AttentionMap blunt = map_of("may 3, 2001", "2001-05-03", 7, 0.25F);
  const Alignment both = alignment({sharp, blunt});
  CHECK(both.digits == 8);
  CHECK(both.mass == doctest::Approx(0.5));
  CHECK(both.peaks == 0.5);
}

TEST_CASE("maps without one year on both sides are passed over") {
  const std::vector<AttentionMap> others = {
      map_of("may 3, 84", "1984-05-03", 0, 1),   map_of("1984 1984", "1984-05-03", 0, 1),
      map_of("may 3, 1984", "1985-05-03", 7, 1), map_of("may 3, 1984", "1984", 7, 1),
      map_of("bonjour", "hello", 0, 1),          AttentionMap{}};
  const Alignment none = alignment(others);
  CHECK(none.digits == 0);
  CHECK(none.mass == 0);
}

TEST_SUITE_END();

}  // namespace

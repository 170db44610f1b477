#include "examples/attention/dates.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string>

#include "autograd/error.h"

namespace regrad::example {
namespace {

std::chrono::year_month_day parsed(const std::string& iso) {
  REQUIRE(iso.size() == 10);
  REQUIRE(iso[4] == '-');
  REQUIRE(iso[7] == '-');
  return std::chrono::year{std::stoi(iso.substr(0, 4))} /
         std::chrono::month{static_cast<unsigned>(std::stoi(iso.substr(5, 2)))} /
         std::chrono::day{static_cast<unsigned>(std::stoi(iso.substr(8, 2)))};
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// What kind of text it is: digits become 9, letters a, and runs of a kind one character.
std::string shape_of(const std::string& text) {
  std::string shape;
  for (const char c : lower(text)) {
    const char kind = c >= '0' && c <= '9' ? '9' : c >= 'a' && c <= 'z' ? 'a' : c;
    if (shape.empty() || shape.back() != kind) shape += kind;
  }
  return shape;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("dates: the same on every machine") {
  const std::vector<Pair> first = generate_dates(5, 1);
  CHECK(first == std::vector<Pair>{{"2 Jun 2023", "2023-06-02"},
                                   {"Tuesday, April 27, 2010", "2010-04-27"},
                                   {"4th of November 1984", "1984-11-04"},
                                   {"june 17, 2015", "2015-06-17"},
                                   {"12 November 1984", "1984-11-12"}});
}

TEST_CASE("dates: pair i depends on the seed and i alone") {
  const std::vector<Pair> few = generate_dates(10, 3), many = generate_dates(1000, 3);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
  CHECK(generate_dates(10, 4) != few);
  CHECK(generate_dates(0, 3).empty());
  CHECK_THROWS_AS(generate_dates(-1, 3), Error);
}

TEST_CASE("dates: real days of 1970 to 2029, with their true weekdays") {
  using namespace std::chrono;
  const std::map<std::string, unsigned> weekdays = {{"sun", 0}, {"mon", 1}, {"tue", 2}, {"wed", 3},
                                                    {"thu", 4}, {"fri", 5}, {"sat", 6}};
  std::set<int> years;
  int named_weekdays = 0;
  for (const Pair& pair : generate_dates(20000, 1)) {
    const year_month_day date = parsed(pair.target);
    CHECK(date.ok());
    years.insert(static_cast<int>(date.year()));
    const auto named = weekdays.find(lower(pair.source.substr(0, 3)));
    if (named == weekdays.end()) continue;
    ++named_weekdays;
    CHECK(weekday(sys_days(date)).c_encoding() == named->second);
  }
  CHECK(named_weekdays > 1000);
  CHECK(years.size() == 60);
  CHECK(*years.begin() == 1970);
  CHECK(*years.rbegin() == 2029);
}

TEST_CASE("dates: many forms, none of which names two days") {
  std::map<std::string, std::string> days;
  std::set<std::string> shapes;
  for (const Pair& pair : generate_dates(50000, 2)) {
    shapes.insert(shape_of(pair.source));
    const auto [seen, is_new] = days.emplace(lower(pair.source), pair.target);
    CHECK(seen->second == pair.target);
  }
  CHECK(shapes.size() == 8);  // written months and weekdays, long or short, look alike here
}

TEST_SUITE_END();

}  // namespace regrad::example

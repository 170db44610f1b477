#include "examples/attention/dates.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <string_view>

#include "autograd/error.h"
#include "ops/random.h"

namespace regrad::example {
namespace {

using std::chrono::day;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month_day;

constexpr std::array<std::string_view, 12> months = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array<std::string_view, 7> weekdays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                      "Thursday", "Friday", "Saturday"};

constexpr sys_days first_day = year{1970} / 1 / 1;
constexpr sys_days last_day = year{2029} / 12 / 31;

// A number in [0, bound). The bias is below bound / 2^32.
uint64_t below(uint64_t bits32, uint64_t bound) { return ((bits32 & 0xffffffffu) * bound) >> 32; }

struct Day {
  int year;
  unsigned month, day;
  std::string_view weekday, name;  // name: of the month
};

Day day_at(uint64_t offset) {
  const sys_days when = first_day + std::chrono::days(static_cast<int>(offset));
  const year_month_day date(when);
  const unsigned month = static_cast<unsigned>(date.month());
  return {static_cast<int>(date.year()), month, static_cast<unsigned>(date.day()),
          weekdays.at(std::chrono::weekday(when).c_encoding()), months.at(month - 1)};
}

std::string_view ordinal_suffix(unsigned day) {
  if (day >= 11 && day <= 13) return "th";
  constexpr std::array<std::string_view, 4> suffixes = {"th", "st", "nd", "rd"};
  return suffixes.at(day % 10 < 4 ? day % 10 : 0);
}

// The everyday forms stand here more than once, to be drawn more often.
constexpr std::array<std::string_view, 16> forms = {"{month} {day}, {year}",
                                                    "{month} {day}, {year}",
                                                    "{month} {day}, {year}",
                                                    "{mon} {day}, {year}",
                                                    "{mon} {day}, {year}",
                                                    "{m}/{day}/{yy:02}",
                                                    "{m}/{day}/{yy:02}",
                                                    "{weekday}, {month} {day}, {year}",
                                                    "{weekday}, {month} {day}, {year}",
                                                    "{day} {mon} {year}",
                                                    "{day} {month} {year}",
                                                    "{day}{th} of {month} {year}",
                                                    "{wkd} {day} {mon} {year}",
                                                    "{m:02}/{day:02}/{year}",
                                                    "{day}-{mon}-{year}",
                                                    "{year}.{m:02}.{day:02}"};

std::string write(const Day& d, std::string_view form) {
  return fmt::format(fmt::runtime(form), fmt::arg("day", d.day), fmt::arg("m", d.month),
                     fmt::arg("month", d.name), fmt::arg("mon", d.name.substr(0, 3)),
                     fmt::arg("year", d.year), fmt::arg("yy", d.year % 100),
                     fmt::arg("weekday", d.weekday), fmt::arg("wkd", d.weekday.substr(0, 3)),
                     fmt::arg("th", ordinal_suffix(d.day)));
}

std::string cased(std::string text, uint64_t choice) {
  for (char& c : text) {
    if (choice == 0 && c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    if (choice == 1 && c >= 'a' && c <= 'z') c = static_cast<char>(c - ('a' - 'A'));
  }
  return text;
}

}  // namespace

std::vector<Pair> generate_dates(int64_t count, uint64_t seed) {
  if (count < 0) {
    throw Error(fmt::format("generate_dates: count is {}; it must not be negative", count));
  }
  std::vector<Pair> pairs;
  pairs.reserve(static_cast<std::size_t>(count));
  const auto day_count = static_cast<uint64_t>((last_day - first_day).count() + 1);
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    const uint64_t day_bits = philox(seed, 2 * i), style_bits = philox(seed, 2 * i + 1);
    const Day day = day_at(below(day_bits, day_count));
    const std::string text = write(day, forms.at(below(style_bits, forms.size())));
    pairs.push_back({cased(text, below(style_bits >> 32, 4)),
                     fmt::format("{}-{:02}-{:02}", day.year, day.month, day.day)});
  }
  return pairs;
}

}  // namespace regrad::example

// Writes report.html with what a page must bear into the folder given: long sentences, scripts from
// the right, Chinese, marks that combine, hostile text, values that are not numbers.
#include <cmath>
#include <limits>
#include <sstream>

#include "examples/report/report.h"

namespace {

using namespace regrad::example;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> tokens;
  for (std::string token; stream >> token;) tokens.push_back(token);
  return tokens;
}

// Each row is a peak at the place of the diagonal; sharpness 0 gives equal weights.
AttentionMap diagonal(std::vector<std::string> source, std::vector<std::string> target,
                      double sharpness, std::string title) {
  AttentionMap map{std::move(source), std::move(target), {}, std::move(title)};
  const auto rows = static_cast<double>(map.target.size());
  const auto columns = static_cast<double>(map.source.size());
  for (std::size_t t = 0; t < map.target.size(); ++t) {
    std::vector<double> row;
    double sum = 0;
    for (std::size_t s = 0; s < map.source.size(); ++s) {
      const double off =
          (static_cast<double>(t) + 0.5) / rows * columns - (static_cast<double>(s) + 0.5);
      row.push_back(std::exp(-sharpness * off * off));
      sum += row.back();
    }
    for (const double one : row) map.weights.push_back(static_cast<float>(one / sum));
  }
  return map;
}

std::vector<AttentionMap> odd_maps() {
  std::vector<std::string> long_source, long_target;
  for (int i = 0; i < 60; ++i) {
    long_source.push_back(i % 7 == 0 ? "extraordinarily" : "word" + std::to_string(i));
    long_target.push_back(i % 5 == 0 ? "exceptionnellement" : "mot" + std::to_string(i));
  }
  std::vector<AttentionMap> maps = {
      {{"the", "old", "cat"},
       {"le", "vieux", "chat"},
       {0.9f, 0.1f, 0, 0.05f, 0.8f, 0.15f, 0, 0.25f, 0.75f},
       "the old cat → le vieux chat"},
      diagonal(words("s h a l o m"), words("ש ל ו ם"), 2, "shalom → שלום"),
      diagonal(words("ילד קטן רץ"), words("a small boy runs"), 2, "ילד קטן רץ → a small boy runs"),
      diagonal(words("I am learning Chinese ."), words("我 正 在 学 习 中 文 。"), 1, "中文"),
      diagonal({"e", "\u0301", "t", "e", "\u0301", " ", "u\u0308"},
               words("trans lation</w> \U0001F600</w>"), 1, "marks"),
      {{"</script><script>document.title='broken'</script>", "<b>", "\"&'"},
       {"\x1b[2J", "\u202Ea", "<!--"},
       {-1, 2, not_a_number, 0.5f, 0.5f, 0, 0, 0, 1},
       "<img src=x onerror=alert(1)>"},
      diagonal(std::move(long_source), std::move(long_target), 0.5, "sixty")};
  return maps;
}

Report sample() {
  Report report;
  report.title = "Attention: <sample> & </title><script>";
  report.facts = {{"data", "made up </script>"}, {"model", "none, 0 parameters"}};
  Series train{"train loss", "loss in nats a token", {}}, held{"held-out loss", train.unit, {}};
  for (int i = 1; i <= 2000; ++i) {
    train.points.emplace_back(i, 4 * std::exp(-i / 400.0) + 0.1);
    if (i % 100 == 0) held.points.emplace_back(i, 4 * std::exp(-i / 500.0) + 0.4);
  }
  held.points[3].second = std::numeric_limits<double>::quiet_NaN();
  report.curves = {train,
                   held,
                   {"exact match", "%", {{500, 20}, {1000, 61}, {2000, 88.5}}},
                   {"BLEU", "BLEU", {{1000, 12.25}, {2000, 30.5}}}};
  report.maps = odd_maps();
  for (int i = 0; i < 5; ++i) {
    report.snapshots.push_back(
        {1 + 500 * i,
         {diagonal(words("we look at this ."), words(i < 2 ? "nous nous" : "nous regardons ceci ."),
                   0.3 * i, "we look at this ."),
          diagonal(words("תודה רבה"), words("thank you"), 0.6 * i, "תודה רבה")}});
  }
  report.score_name = "chrF";
  set_examples(report,
               {{"hello", "bonjour", "bonjour", 100},
                {"shalom", "שלומ", "שלום", 75},
                {"<i>bad</i>", "</script>", "rien", 3.5},
                {"", "", "vide", std::nan("")}},
               2);
  return report;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  write_report(argv[1], sample());
  return 0;
}

#include "examples/report/page.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "autograd/error.h"

namespace regrad::example {
namespace {

using nlohmann::json;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t start = text.find(before) + before.size();
  return text.substr(start, text.find(after, start) - start);
}

std::string data_text(const std::string& page) {
  return between(page, "<script type=\"application/json\" id=\"report\">", "</script>");
}

Report small_report() {
  Report report;
  report.title = "Dates & <more>";
  report.facts = {{"pairs", "1 < 2"}};
  report.maps = {{{"a", "b"}, {"x", "y"}, {0.0f, 1.0f, 0.25f, 0.7504f}, "a b → x y"}};
  report.snapshots = {{1, report.maps}, {50, report.maps}};
  report.curves = {{"loss", "nats", {{1, 2.5}, {2, std::numeric_limits<double>::quiet_NaN()}}},
                   {"empty", "nats", {}}};
  return report;
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("page: holds the report as JSON") {
  const std::string page = to_page(small_report());
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(contains(page, "<title>Dates &amp; &lt;more></title>"));
  const json data = json::parse(data_text(page));
  CHECK(data["title"] == "Dates & <more>");
  CHECK(data["facts"] == json::array({json::array({"pairs", "1 < 2"})}));
  CHECK(data["maps"][0]["source"] == json::array({"a", "b"}));
  CHECK(data["maps"][0]["weights"] == json::array({0, 1000, 250, 750}));
  CHECK(data["snapshots"][1]["step"] == 50);
  CHECK(data["curves"].size() == 1);
  CHECK(data["curves"][0]["points"] == json::array({{1, 2.5}, {2, nullptr}}));
}

TEST_CASE("page: no text ends the element that holds it") {
  const std::string hostile = "</script><script>alert(1)</script><!--";
  Report report = small_report();
  report.title = hostile;
  report.facts = {{hostile, hostile}};
  report.maps = {{{hostile}, {hostile}, {1}, hostile}};
  report.curves = {{hostile, hostile, {{1, 1}}}};
  report.worst = {{hostile, hostile, hostile, 0}};
  report.score_name = hostile;
  const std::string page = to_page(report);
  CHECK_FALSE(contains(page, "<script>alert"));
  CHECK_FALSE(contains(data_text(page), "<"));
  CHECK(json::parse(data_text(page))["worst"][0]["output"] == hostile);
}

TEST_CASE("page: control characters, turning marks and bytes that are not UTF-8 are made visible") {
  Report report;
  report.title = "\x1b[2J\xFF";
  report.maps = {{{"\x07"}, {"\u202Ea"}, {1}, ""}};
  report.best = {{std::string("\0", 1), "\xC3", "", std::numeric_limits<double>::quiet_NaN()}};
  const std::string page = to_page(report);
  const json data = json::parse(data_text(page));
  CHECK(data["title"] == "\\x1b[2J\\xff");
  CHECK(data["maps"][0]["source"][0] == "\\x07");
  CHECK(data["maps"][0]["target"][0] == "\\u202ea");
  CHECK(data["best"][0]["source"] == "\\x00");
  CHECK(data["best"][0]["score"].is_null());
  CHECK_FALSE(contains(page, "\x1b"));
}

TEST_CASE("page: asks for nothing and runs only its own script") {
  const std::string page = to_page(small_report());
  const std::string policy =
      between(page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
  CHECK(policy.starts_with("default-src 'none'; style-src 'sha256-"));
  CHECK(contains(policy, "script-src 'sha256-"));
  CHECK_FALSE(contains(policy, "unsafe"));
  for (const char* outside : {"<link", "@import", "url(", "src=\"", "href", "https:", "{{"}) {
    CAPTURE(outside);
    CHECK_FALSE(contains(page, outside));
  }
}

TEST_CASE("page: long curves are thinned, keeping the last point; odd weights are bounded") {
  Report report;
  Series series{"loss", "nats", {}};
  for (int i = 1; i <= 100001; ++i) series.points.emplace_back(i, 1.0 / i);
  report.curves = {series};
  report.maps = {{{"a", "b", "c"}, {"x"}, {-1, 2, std::numeric_limits<float>::quiet_NaN()}, "odd"}};
  const json data = json::parse(data_text(to_page(report)));
  CHECK(data["curves"][0]["points"].size() <= 500);
  CHECK(data["curves"][0]["points"].size() > 400);
  CHECK(data["curves"][0]["points"].back()[0] == 100001);
  CHECK(data["maps"][0]["weights"] == json::array({0, 1000, nullptr}));
}

TEST_CASE("page: of nothing, and of what does not fit together") {
  CHECK(json::parse(data_text(to_page({})))["maps"].empty());
  Report report;
  report.snapshots = {{1, {{{"a"}, {"x"}, {}, "odd"}}}};
  CHECK_THROWS_WITH_AS(to_page(report),
                       "attention map \"odd\": 0 weights; 1 target x 1 source tokens need 1",
                       Error);
  report.snapshots = {{1, {{{"\xFF"}, {"x"}, {1}, ""}}}};
  CHECK_THROWS_AS(to_page(report), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example

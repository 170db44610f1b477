#include "examples/attention/heatmap.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "autograd/error.h"

namespace regrad::example {
namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

// Whether the elements of an XML text are closed in the order in which they were opened.
bool is_balanced(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (tag.ends_with('/')) continue;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return false;
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  return open.empty();
}

AttentionMap small_map() {
  return {{"a", "b"}, {"x", "y"}, {0.0f, 1.0f, 0.25f, 0.75f}, "a b → x y"};
}

AttentionMap odd_map() {
  return {{"<b>", "\"&'"}, {"\x1b[2J", "\u202Ea"}, {-1.0f, 2.0f, not_a_number, 0.5f}, "<&\x07>"};
}

}  // namespace

TEST_SUITE_BEGIN("examples");

TEST_CASE("heatmap: on a terminal, in shades") {
  CHECK(to_terminal(small_map(), false, 80) ==
        "a b → x y\n"
        "  a b \n"
        "x · ██\n"
        "y ░░▓▓\n");
}

TEST_CASE("heatmap: on a terminal, in colours that end with each line") {
  const std::string text = to_terminal(small_map(), true, 80);
  CHECK(contains(text, "x \x1b[48;5;234m  \x1b[48;5;231m  \x1b[0m\n"));
  CHECK(count_of(text, "\x1b[0m\n") == 2);
}

TEST_CASE("heatmap: bands fit the width") {
  const AttentionMap map{{"one", "two", "three"}, {"x"}, {1, 0, 1}, ""};
  CHECK(to_terminal(map, false, 10) ==
        "  one two \n"
        "x ████·   \n"
        "\n"
        "  three \n"
        "x ██████\n");
  CHECK(count_of(to_terminal(map, false, 0), "\n") == 8);
}

TEST_CASE("heatmap: wide, combining, right-to-left and empty tokens") {
  CHECK(to_terminal({{"漢", "e\u0301"}, {"字"}, {1, 1}, ""}, false, 80) ==
        "   漢 e\u0301 \n"
        "字 █████\n");
  CHECK(to_terminal({{"א", "ב"}, {"a"}, {1, 0}, ""}, false, 80) ==
        "  \u200Eא\u200E \u200Eב\u200E \n"
        "a ██· \n");
  CHECK(to_terminal({{" "}, {""}, {1}, ""}, false, 80) == "  ␣ \n  ██\n");
  CHECK(to_terminal({}, false, 80).empty());
}

TEST_CASE("heatmap: a long token is cut") {
  const AttentionMap map{{std::string(100, 'a')}, {std::string(24, 'b')}, {1}, ""};
  CHECK(contains(to_terminal(map, false, 80), std::string(24, 'a') + "… \n"));
  CHECK(contains(to_terminal(map, false, 80), std::string(24, 'b') + " █"));
}

TEST_CASE("heatmap: no control character of a token reaches a terminal or a page") {
  const std::string text = to_terminal(odd_map(), false, 80);
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK_FALSE(contains(text, "\u202E"));
  CHECK_FALSE(contains(text, "\x07"));
  CHECK(contains(text, "␛[2J"));
  CHECK(contains(text, "?"));
  for (const std::string& page : {to_svg(odd_map()), to_html({odd_map()}, {}, {})}) {
    CHECK_FALSE(contains(page, "\x1b"));
    CHECK_FALSE(contains(page, "\u202E"));
  }
}

TEST_CASE("heatmap: SVG holds the labels and the exact weights, escaped") {
  const std::string svg = to_svg(small_map());
  CHECK(svg.starts_with("<svg "));
  CHECK(contains(svg, "xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(contains(svg, "<title>a b → x y</title>"));
  CHECK(contains(svg, "<title>b → y: 0.75</title>"));
  CHECK(count_of(svg, "fill-opacity") == 4);
  CHECK(is_balanced(svg));
  const std::string odd = to_svg(odd_map());
  CHECK(contains(odd, "&lt;b&gt;"));
  CHECK(contains(odd, "&quot;&amp;&#39;"));
  CHECK(contains(odd, "<title>&lt;&amp;␇&gt;</title>"));
  CHECK(contains(odd, "not a number"));
  CHECK(contains(odd, "fill-opacity=\"1.000\""));
  CHECK_FALSE(contains(odd, "nan"));
  CHECK(is_balanced(odd));
}

TEST_CASE("heatmap: a page that needs nothing from outside") {
  Curve losses, accuracies;
  for (int i = 1; i <= 1000; ++i) losses.emplace_back(i, 1.0 / i);
  accuracies = {{500, 0.5}, {750, std::numeric_limits<double>::quiet_NaN()}, {1000, 0.875}};
  const std::string page =
      to_html({small_map(), odd_map()}, losses, accuracies, "Dates & <more>", {{"pairs", "1 < 2"}});
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(contains(page, "<title>Dates &amp; &lt;more&gt;</title>"));
  CHECK(contains(page, "<dt>pairs</dt><dd>1 &lt; 2</dd>"));
  CHECK(contains(page, "0.001 at step 1000"));
  CHECK(contains(page, "87.5% at step 1000"));
  CHECK(contains(page, "prefers-color-scheme:dark"));
  CHECK(count_of(page, "<svg ") == 4);
  for (const char* outside : {"<script", "<link", "@import", "url(", "src=\"", "href", "://"}) {
    CAPTURE(outside);
    CHECK_FALSE(contains(page, outside));
  }
  CHECK_FALSE(contains(page, "nan"));
}

TEST_CASE("heatmap: a page with parts missing, and curves of odd values") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK_FALSE(contains(to_html({}, {}, {}), "<svg"));
  CHECK_FALSE(contains(to_html({small_map()}, {}, {}), "Loss"));
  for (const Curve& curve : {Curve{{1, 0.5}}, Curve{{1, infinity}}, Curve{{0, 0.0}, {1, 0.0}},
                             Curve{{5, -1.0}, {6, -2.0}}, Curve{{0, 1e300}, {1, -1e300}},
                             Curve{{std::numeric_limits<int64_t>::max(), 1.0}}}) {
    const std::string page = to_html({}, curve, {});
    CHECK(contains(page, "<svg"));
    CHECK_FALSE(contains(page, "nan"));
    CHECK_FALSE(contains(page, "inf"));
  }
}

TEST_CASE("heatmap: a map that does not fit together") {
  const AttentionMap map{{"a", "b"}, {"x"}, {1.0f}, "odd"};
  CHECK_THROWS_WITH_AS(
      to_svg(map), "attention map \"odd\": 1 weights; 1 target x 2 source tokens need 2", Error);
  CHECK_THROWS_AS(to_terminal(map, false, 80), Error);
  CHECK_THROWS_AS(to_html({map}, {}, {}), Error);
  CHECK_THROWS_AS(to_svg({{"\xFF"}, {"x"}, {1.0f}, ""}), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example

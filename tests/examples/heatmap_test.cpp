#include "examples/report/heatmap.h"

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

TEST_CASE("heatmap: no control character of a token reaches a terminal or a picture") {
  const std::string text = to_terminal(odd_map(), false, 80);
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK_FALSE(contains(text, "\u202E"));
  CHECK_FALSE(contains(text, "\x07"));
  CHECK(contains(text, "\\x1b[2J"));
  CHECK(contains(text, "?"));
  CHECK_FALSE(contains(to_svg(odd_map()), "\x1b"));
  CHECK_FALSE(contains(to_svg(odd_map()), "\u202E"));
}

TEST_CASE("heatmap: SVG holds the labels and the exact weights, escaped") {
  const std::string svg = to_svg(small_map());
  CHECK(svg.starts_with("<svg "));
  CHECK(contains(svg, "xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(contains(svg, "<title>a b → x y</title>"));
  CHECK(contains(svg, "<title>b → y: 0.75</title>"));
  CHECK(is_balanced(svg));
  const std::string odd = to_svg(odd_map());
  CHECK(contains(odd, "&lt;b&gt;"));
  CHECK(contains(odd, "&quot;&amp;&#39;"));
  CHECK(contains(odd, "<title>&lt;&amp;\\x07&gt;</title>"));
  CHECK(contains(odd, "not a number"));
  CHECK(contains(odd, "fill=\"#000000\"><title>&quot;&amp;&#39; → \\x1b[2J: 2</title>"));
  CHECK_FALSE(contains(odd, "nan"));
  CHECK(is_balanced(odd));
}

TEST_CASE("heatmap: SVG for a paper is grey, opaque, and needs no style") {
  const std::string svg = to_svg(small_map());
  CHECK(count_of(svg, "<rect x=") == 5);  // the cells and the frame
  CHECK(contains(svg, "fill=\"#ffffff\"><title>a → x: 0</title>"));
  CHECK(contains(svg, "fill=\"#000000\"><title>b → x: 1</title>"));
  CHECK(contains(svg, "fill=\"#404040\"><title>b → y: 0.75</title>"));
  CHECK(contains(svg, "font-family=\"sans-serif\""));
  for (const char* avoided : {"<style", "opacity", "var(", "class=", "href", "@"}) {
    CAPTURE(avoided);
    CHECK_FALSE(contains(svg, avoided));
  }
}

TEST_CASE("heatmap: SVG draws a source from the right from the right") {
  const auto first_is_left = [](const AttentionMap& map) {
    const std::string svg = to_svg(map);
    const std::string first = "<title>" + map.source[0] + " →", last = "<title>" + map.source[1];
    const auto x_before = [&](const std::string& title) {
      return std::stoi(svg.substr(svg.rfind("<rect x=\"", svg.find(title)) + 9));
    };
    return x_before(first) < x_before(last);
  };
  CHECK(first_is_left({{"a", "b"}, {"x"}, {1, 0}, ""}));
  CHECK_FALSE(first_is_left({{"א", "ב"}, {"x"}, {1, 0}, ""}));
  CHECK(first_is_left({{"中", "。"}, {"א"}, {1, 0}, ""}));
}

TEST_CASE("heatmap: a mark alone stands on a circle, and parts of words lose their end") {
  CHECK(to_terminal({{"e", "\u0301"}, {"x"}, {1, 0}, ""}, false, 80) ==
        "  e ◌\u0301 \n"
        "x ██· \n");
  CHECK(to_terminal({{"ab</w>"}, {"</w>"}, {1}, ""}, false, 80) ==
        "     ab \n"
        "</w> ███\n");
}

TEST_CASE("heatmap: a map that does not fit together") {
  const AttentionMap map{{"a", "b"}, {"x"}, {1.0f}, "odd"};
  CHECK_THROWS_WITH_AS(
      to_svg(map), "attention map \"odd\": 1 weights; 1 target x 2 source tokens need 2", Error);
  CHECK_THROWS_AS(to_terminal(map, false, 80), Error);
  CHECK_THROWS_AS(to_svg({{"\xFF"}, {"x"}, {1.0f}, ""}), Error);
}

TEST_SUITE_END();

}  // namespace regrad::example
